/// The picture of a run's curves: losses, gradient norm, feature norms and speed by step.
public func lossCurves(_ rows: [MetricsRow], title: String) -> Canvas {
    typealias Series = CurvePlot.Series
    let panels = [
        CurvePlot.Panel("denoising loss", [Series("denoising", of: "denoisingLoss", in: rows)]),
        CurvePlot.Panel("alignment loss", [Series("alignment", of: "alignmentLoss", in: rows)], logarithmic: true),
        CurvePlot.Panel("gradient norm", [Series("before clipping", of: "gradientNorm", in: rows)], logarithmic: true),
        CurvePlot.Panel(
            "feature size (root mean square)",
            [Series("student", of: "featureNorm", in: rows), Series("target", of: "targetNorm", in: rows)]),
        CurvePlot.Panel("learning rate", [Series("AdamW", of: "learningRate", in: rows)]),
        CurvePlot.Panel("images per second", [Series("training", of: "imagesPerSecond", in: rows)]),
    ]
    return CurvePlot(title: title, panels: panels.filter { $0.series.contains { !$0.points.isEmpty } }).render()
}
