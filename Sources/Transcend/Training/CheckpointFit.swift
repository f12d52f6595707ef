import Data
import Diffusion
import Models

/// Checks whether a checkpoint interprets its inputs like a training run that begins with it, which shapes alone do not
/// guarantee.
extension Checkpoint {
    /// Throws if the network cannot be the teacher of a training run: another shape, path, normalisation of latents, or
    /// other classes.
    func checkTeaching(_ c: TrainingConfiguration, _ dataset: any Dataset) throws {
        let teacher = "the teacher \(path)"
        if let misfit = c.network.misfit(of: state.configuration.network) {
            throw ConfigurationError("\(teacher): \(misfit)")
        }
        try checkPath(c, teacher)
        if let seen = state.latents, let latents = dataset.latents,
            (seen.shift, seen.scale) != (latents.shift, latents.scale)
        {
            throw ConfigurationError(
                "\(teacher): it knows latents of \(seen.identity) in another normalisation than the data")
        }
        if let place = Self.firstOther(state.classNames, dataset.classNames) {
            throw ConfigurationError(
                "\(teacher): its class \(place) is \"\(state.classNames[place])\", that of the data "
                    + "\"\(dataset.classNames[place])\"; give a teacher of these classes")
        }
        if state.configuration.diffusion.labelDrop == 0, c.method.method.asksNullClass {
            throw ConfigurationError(
                "\(teacher): it was trained with diffusion.labelDrop=0 and has no features without a label; give one that "
                    + "was trained with labels dropped")
        }
    }

    /// Throws if its whole state belongs to another kind of training, with another head or along another path, or is at
    /// a later step.
    func checkResuming(_ c: TrainingConfiguration) throws {
        let own = state.configuration
        func head(_ c: TrainingConfiguration) -> [String] {
            c.method.method.objective(for: c.network, teacher: nil, on: .meta).parameters().map(\.name)
        }
        if own.method.name != c.method.name, head(own) != head(c) {
            throw ConfigurationError(
                "--resume \(path): it was trained by \(own.method.name), which has another head than \(c.method.name); take "
                    + "its weights alone with --init")
        }
        try checkPath(c, "--resume \(path)")
        if state.step > c.steps {
            throw ConfigurationError(
                "--steps \(c.steps): --resume begins at step \(state.step) already; give more steps")
        }
    }

    /// Throws if its whole state belongs to training on other latents.
    func checkResuming(on dataset: any Dataset) throws {
        let start = "--resume \(path)"
        if let seen = state.latents, let latents = dataset.latents, seen != latents {
            throw ConfigurationError(
                "\(start): it knows latents of \(seen.identity), the data hold those of \(latents.identity) or others "
                    + "in their normalisation; take its weights alone with --init")
        }
    }

    private func checkPath(_ c: TrainingConfiguration, _ subject: String) throws {
        let path = state.configuration.diffusion.path
        if path != c.diffusion.path {
            throw ConfigurationError("\(subject): it was trained with diffusion.path=\(path); set the same")
        }
    }

    /// The first class that two lists of equal length name differently; nil if they agree, or one of them only counts.
    private static func firstOther(_ a: [String], _ b: [String]) -> Int? {
        let numbers = a.indices.map(String.init)
        return a == numbers || b == numbers ? nil : zip(a, b).enumerated().first { $1.0 != $1.1 }?.offset
    }
}
