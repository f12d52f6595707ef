import Diffusion
import Formats
import Models

/// The command line of a published training run: used where it adds to the weights, reported as a warning where it
/// contradicts them.
struct PublishedArguments {
    private let arguments: PickleValue?

    init(_ arguments: PickleValue?) { self.arguments = arguments }

    /// The differences between the arguments and the network of the weights, one sentence each.
    func contradictions(to network: SiTConfiguration) -> [String] {
        var found: [(key: String, said: String, weights: String)] = []
        if let name = arguments?["model"]?.string, let said = SiTConfiguration(named: name),
            (said.depth, said.hidden, said.patchSize) != (network.depth, network.hidden, network.patchSize)
        {
            let shape = "depth \(network.depth), hidden size \(network.hidden), patch \(network.patchSize)"
            found.append(("model", name, shape))
        }
        // Published latents have an eighth of the picture's side.
        if network.channels == 4, let said = arguments?["resolution"]?.int, said != 8 * network.inputSize {
            found.append(("resolution", "\(said)", "\(8 * network.inputSize)"))
        }
        if let said = arguments?["num_classes"]?.int, said != network.classes {
            found.append(("num_classes", "\(said)", "\(network.classes)"))
        }
        if let said = arguments?["qk_norm"]?.bool, said != network.qkNorm {
            found.append(("qk_norm", said ? "True" : "False", network.qkNorm ? "True" : "False"))
        }
        return found.map { "args say \($0.key) = \($0.said), the weights have \($0.weights); the weights win" }
            + foreignTraining
    }

    /// Sentences about training targets other than the velocity along a supported path.
    private var foreignTraining: [String] {
        var warnings: [String] = []
        if let name = arguments?["path_type"]?.string, path == nil {
            warnings.append("args say path_type = \(name), which is not known here: training and samples assume linear")
        }
        if let name = arguments?["prediction"]?.string, !["v", "velocity"].contains(name) {
            warnings.append("args say prediction = \(name), not the velocity: samples will be wrong")
        }
        return warnings
    }

    /// The path from data to noise; SiT calls cosine GVP. Nil if it is missing or unknown.
    private var path: ProbabilityPath? {
        arguments?["path_type"]?.string.flatMap { $0 == "GVP" ? .cosine : ProbabilityPath(rawValue: $0.lowercased()) }
    }

    /// Applies the training settings that a checkpoint's weights do not determine. Impossible values are left out.
    func apply(to configuration: inout TrainingConfiguration, optimizer: PickleValue?) {
        var c = configuration
        if let path { c.diffusion.path = path }
        if let drop = arguments?["cfg_prob"]?.double, (0...1).contains(drop) { c.diffusion.labelDrop = drop }
        if let batch = arguments?["batch_size"]?.int, (1...1 << 20).contains(batch) { c.batch = batch }
        if let rate = optimizer?["lr"]?.double, rate > 0, rate < 1 { c.schedule.learningRate = rate }
        var adamW = c.optimizer.adamW
        if let betas = optimizer?["betas"]?.elements?.compactMap(\.double), betas.count == 2 {
            (adamW.beta1, adamW.beta2) = (betas[0], betas[1])
        }
        if let epsilon = optimizer?["eps"]?.double { adamW.epsilon = epsilon }
        if let decay = optimizer?["weight_decay"]?.double { adamW.weightDecay = decay }
        configuration = c
        c.optimizer.adamW = adamW
        if (try? c.validate()) != nil { configuration = c }
    }
}
