import Data

/// Draws a run's curves, as in `lossPanels`.
public func lossCurves(_ rows: [MetricsRow], title: String, subtitle: String = "") -> RGBImage {
    CurvePlot(title: title, subtitle: subtitle, panels: lossPanels(rows)).render()
}

/// Panels of losses, gradient norm, feature size, learning rate and speed by step, as far as available.
func lossPanels(_ rows: [MetricsRow]) -> [CurvePlot.Panel] {
    typealias Series = CurvePlot.Series
    typealias Panel = CurvePlot.Panel
    // A loss that is a negative cosine has no logarithm.
    let isPositive = rows.allSatisfy { ($0.values["alignmentLoss"] ?? 1) > 0 }
    let panels = [
        Panel("denoising loss", [Series("denoising", of: "denoisingLoss", in: rows)], logarithmic: true),
        Panel(
            "alignment loss", [Series("alignment", of: "alignmentLoss", in: rows)], logarithmic: isPositive),
        Panel(
            "gradient norm before clipping", [Series("gradient", of: "gradientNorm", in: rows)], logarithmic: true),
        Panel(
            "features, root mean square",
            [Series("student", of: "featureNorm", in: rows), Series("target", of: "targetNorm", in: rows)]),
        Panel("learning rate", [Series("AdamW", of: "learningRate", in: rows)], exact: true, fromZero: true),
        Panel("images per second", [Series("training", of: "imagesPerSecond", in: rows)], exact: true, fromZero: true),
    ]
    return panels.filter { $0.series.contains { !$0.points.isEmpty } }
}
