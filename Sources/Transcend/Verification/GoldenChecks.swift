import Diffusion
import Formats
import Foundation
import Models
import Torch

/// The computation for each kind of golden file.
enum GoldenChecks {
    typealias Check = @Sendable (GoldenFile) throws -> [VerificationRow]

    static let byKind: [String: Check] = [
        "sit-forward": forward, "sit-generated": forward, "objective": objective, "objective-family": objective,
        "training": training,
        "sampler": sampler, "path": path, "draws": draws, "checkpoint": checkpoint, "pixels": GoldenData.pixels,
        "vae-sd": GoldenData.latents, "autoencoder-kl": autoencoderKL, "taesd": tinyAutoencoder,
        "metrics": metrics, "inception": inception, "dinov2": dinov2,
    ]

    private static func forward(_ golden: GoldenFile) throws -> [VerificationRow] {
        let depths = try golden.setting("features") { $0.elements?.compactMap(\.int) }
        let output = try withoutGradients {
            try golden.network("model.")(
                golden.tensor("input.x"), golden.tensor("input.t"), golden.tensor("input.y"), features: Set(depths))
        }
        var computed = ["velocity": output.velocity!]
        for (depth, features) in output.features {
            computed["features.\(depth)"] = features
            computed["mean_features.\(depth)"] = features.mean([1])
        }
        return try golden.compare(computed)
    }

    /// Checks values and gradients, once with everything computed and once as in training.
    private static func objective(_ golden: GoldenFile) throws -> [VerificationRow] {
        try [LossMode.verification, .training].flatMap { mode in
            let state = try golden.trainingState()
            let batch = try golden.batch()
            let result = losses(
                of: state.network, state.objective, batch, path: state.path, step: 0, mode: mode)
            result.total.backward()
            state.parameters.trained.fillMissingGradients()
            var computed = ["loss": result.total.reshaped([1]), "denoising": result.denoising]
            computed["alignment"] = result.alignment?.perSample
            for entry in state.parameters {
                computed["grad." + (try golden.goldenName(entry, in: state))] = entry.parameter.value.gradient
            }
            // In training the alignment exists only for the samples that count; the loss contains their mean.
            return mode == .training
                ? try golden.compare(computed, label: "training ", omitting: ["alignment"])
                : try golden.compare(computed)
        }
    }

    private static func training(_ golden: GoldenFile) throws -> [VerificationRow] {
        var configuration = OptimizerConfiguration()
        configuration.adamW.epsilon = try golden.setting("epsilon", \.double)
        configuration.adamW.weightDecay = try golden.setting("weight_decay", \.double)
        configuration.maximumGradientNorm = try golden.setting("max_norm", \.double)
        configuration.emaDecay = try golden.setting("ema_decay", \.double)
        let learningRate = try golden.setting("learning_rate", \.double)
        let state = try golden.trainingState(configuration)
        let weight = state.objective.alignmentSettings?.weight ?? 0
        var totals: [Double] = []
        var norms: [Double] = []
        for step in 0..<(try golden.setting("steps", \.int)) {
            let report = try state.update([golden.batch(step)], learningRate: learningRate)
            totals.append(report.denoisingLoss + weight * (report.alignmentLoss ?? 0))
            norms.append(report.gradientNorm)
        }
        var computed = ["loss": Tensor(totals), "gradient_norm": Tensor(norms)]
        for (entry, average) in zip(state.parameters, state.average.averages) {
            let name = try golden.goldenName(entry, in: state)
            computed["final." + name] = entry.parameter.value
            computed["ema." + name] = average
        }
        return try golden.compare(computed)
    }

    private static func sampler(_ golden: GoldenFile) throws -> [VerificationRow] {
        let guidance = try golden.setting("guidance") { value -> Guidance? in
            guard let scale = value["scale"]?.double, let low = value["low"]?.double, let high = value["high"]?.double
            else { return nil }
            return Guidance(scale: scale, low: low, high: high, channels: value["channels"]?.int)
        }
        let sampler = Sampler(
            mode: try golden.setting("mode") { $0.string.flatMap(Sampler.Mode.init) },
            steps: try golden.setting("steps", \.int), guidance: guidance)
        let increments = sampler.mode == .sde ? try golden.tensor("input.increments") : .zeros([1])
        let sample = sampler(
            try golden.network("model."), try golden.tensor("input.noise"), try golden.tensor("input.y"),
            path: try golden.path(), increment: { increments[$0 - 1] })
        return try golden.compare(["sample": sample])
    }

    private static func path(_ golden: GoldenFile) throws -> [VerificationRow] {
        let times: [Double] = try golden.tensor("input.t").values()
        let normals: [Double] = try golden.tensor("input.normal").values()
        var computed: [String: Tensor] = [:]
        for path in ProbabilityPath.allCases {
            let all = times.map(path.coefficients)
            computed["\(path.rawValue).alpha"] = Tensor(all.map(\.alpha))
            computed["\(path.rawValue).sigma"] = Tensor(all.map(\.sigma))
            computed["\(path.rawValue).d_alpha"] = Tensor(all.map(\.alphaRate))
            computed["\(path.rawValue).d_sigma"] = Tensor(all.map(\.sigmaRate))
            computed["\(path.rawValue).lognormal_t"] = Tensor(normals.map { path.time(noiseLevel: exp($0)) })
        }
        return try golden.compare(computed)
    }

    private static func draws(_ golden: GoldenFile) throws -> [VerificationRow] {
        guard let seed = UInt64(try golden.setting("seed", \.string)) else {
            throw FileError(golden.file.mapping.path, "has a seed that is no 64-bit number")
        }
        let draws = Draws(seed: seed)
        let (step, item) = (try golden.setting("step", \.int), try golden.setting("item", \.int))
        let increment = try golden.setting("increment") { $0.elements?.compactMap(\.int) }
        let epoch = try golden.setting("order") { $0["epoch"]?.int }
        let items = try golden.setting("order") { $0["items"]?.int }
        guard increment.count == 2, (0...1 << 20).contains(items), step >= 0, item >= 0 else {
            throw FileError(golden.file.mapping.path, "has addresses of draws that are impossible")
        }
        func count(_ name: String) -> Int { golden.file.entries["expect." + name]?.shape.first ?? 0 }
        return try golden.compare([
            "uniform.time": Tensor(
                draws.uniforms(.time, step: step, item: item, count: count("uniform.time"))),
            "normal.noise": Tensor(draws.normals(.noise, step: step, item: item, count: count("normal.noise"))),
            "normal.sample-increment": Tensor(
                draws.normals(
                    .sampleIncrement, step: increment[0], item: increment[1], count: count("normal.sample-increment"))),
            "order": Tensor(draws.order(epoch: epoch, items: items).map { Int($0) }),
            "words.initialise": Tensor(
                draws.words(
                    .initialise, step: 0, item: try golden.setting("initialise", \.int),
                    count: count("words.initialise")
                ).map { Int($0) }),
        ])
    }
}
