/// The picture of a run's curves: losses, gradient norm, size of features, learning rate and speed by step.
public func lossCurves(_ rows: [MetricsRow], title: String, subtitle: String = "") -> Canvas {
    typealias Series = CurvePlot.Series
    typealias Panel = CurvePlot.Panel
    let panels = [
        Panel("denoising loss", [Series("denoising", of: "denoisingLoss", in: rows)], logarithmic: true),
        Panel("alignment loss", [Series("alignment", of: "alignmentLoss", in: rows)], logarithmic: true),
        Panel(
            "gradient norm before clipping", [Series("gradient", of: "gradientNorm", in: rows)], logarithmic: true),
        Panel(
            "features, root mean square",
            [Series("student", of: "featureNorm", in: rows), Series("target", of: "targetNorm", in: rows)]),
        Panel("learning rate", [Series("AdamW", of: "learningRate", in: rows)], exact: true, fromZero: true),
        Panel("images per second", [Series("training", of: "imagesPerSecond", in: rows)], exact: true, fromZero: true),
    ]
    let shown = panels.filter { $0.series.contains { !$0.points.isEmpty } }
    return CurvePlot(title: title, subtitle: subtitle, panels: shown).render()
}
