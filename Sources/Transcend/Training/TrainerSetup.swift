import Data
import Diffusion
import Formats
import Foundation
import Models
import Torch

/// Checks and inputs at the start of a run and of a step.
extension Trainer {
    static func makeState(
        _ c: TrainingConfiguration, dataset: any Dataset, run: RunDirectory, in world: World, on device: Device
    ) throws -> TrainingState {
        let method = c.method.method
        let network = SiT(c.network, on: device)
        network.initialise(stage: c.method.name, seed: c.seed)
        let averaged = method.follows == .average ? SiT(c.network, on: device) : nil
        let followed = try openTeacher(c, run: run)
        try followed?.checkTeaching(c, dataset)
        if world.isFirst { followed?.markFollowed() }
        let teacher = try averaged ?? method.followedWeights.flatMap { try followed?.network($0, on: device) }
        let objective = method.objective(for: c.network, teacher: teacher, on: device)
        objective.initialise(stage: c.method.name, seed: c.seed)
        return try TrainingState(
            network: network, objective: objective, averaged: averaged, path: c.diffusion.path,
            configuration: c.optimizer, world: world,
            distribution: c.distributed)
    }

    /// The checkpoint of the trained network that the method follows, if it follows one.
    private static func openTeacher(_ c: TrainingConfiguration, run: RunDirectory) throws -> Checkpoint? {
        guard let path = c.teacher, c.method.method.followedWeights != nil else { return nil }
        return try Checkpoint(self.path(ofTeacher: path, run))
    }

    /// Initialises the network and its EMA with a checkpoint's weights.
    static func load(_ checkpoint: Checkpoint, into state: TrainingState, on device: Device) throws {
        let network = try checkpoint.network(.raw, on: device)
        for (mine, other) in zip(state.network.parameters(), network.parameters()) {
            mine.parameter.assign(other.parameter.value)
        }
        for (average, entry) in zip(state.average.averages, state.owned) {
            var target = average
            target.assign(entry.parameter.value)
        }
    }

    /// Checks that a run continues with the images that it began with: the order of an epoch depends on their number.
    static func checkContinuity(
        of checkpoint: Checkpoint, _ configuration: TrainingConfiguration, _ dataset: any Dataset, encoders: [String]
    ) throws {
        let past = checkpoint.state
        if past.classNames != dataset.classNames || past.imageCount != dataset.count {
            throw ConfigurationError(
                "\(configuration.data.source): the run began with \(past.imageCount) images in "
                    + "\(past.classNames.count) classes, now there are other ones; give the same data or another --out")
        }
        if let seen = past.encoders, !encoders.isEmpty, seen != encoders {
            throw ConfigurationError(
                "--encoders: the run began with \(seen.joined(separator: ", ")), now there are "
                    + "\(encoders.joined(separator: ", ")); give the same files or another --out")
        }
        if let seen = past.latents, seen != dataset.latents {
            throw ConfigurationError(
                "\(configuration.data.source): the run began with latents of \(seen.identity), now they are of "
                    + "\(dataset.latents?.identity ?? "none") or normalised otherwise; give the same data or another --out"
            )
        }
    }

    /// Throws on all ranks if one of them would train something else.
    static func agree(
        _ configuration: TrainingConfiguration, _ dataset: any Dataset, encoders: [String], run: RunDirectory,
        in world: World
    ) throws {
        guard world.size > 1 else { return }
        let settings = ConfigurationTree.flattened(try ConfigurationTree.tree(of: configuration))
        try world.agree(
            on: [
                ("the version", Version.current), ("libtorch", Library.version),
                ("the program", try MappedFile(path: "/proc/self/exe").withBytes(Checksum.init).text),
            ]
                + settings.filter { $0.key != "device" }.map { ($0.key, $0.value.text()) }
                + [("the data", try dataset.fingerprint), ("the encoders", encoders.joined(separator: ", "))]
                + checkpoints(configuration, run).map { ($0, try $1.map { try Checkpoint($0).summary } ?? "none") },
            topic: configuration.method.name)
    }

    /// The checkpoints that training begins with, whose files could differ between hosts.
    private static func checkpoints(_ c: TrainingConfiguration, _ run: RunDirectory) -> [(String, String?)] {
        [
            ("the newest checkpoint", RunDirectory.newestCheckpoint(in: run.path)), ("--init", c.initialWeights),
            ("--resume", c.initialState), ("the teacher", c.teacher.map { path(ofTeacher: $0, run) }),
        ]
    }

    /// The path of a teacher; a relative path is relative to the run's folder.
    private static func path(ofTeacher path: String, _ run: RunDirectory) -> String {
        path.hasPrefix("/") ? path : run.path + "/" + path
    }

    // MARK: - Data

    /// Throws a `ConfigurationError` if what training changes, or the batches that are loaded ahead, the one in use and the next
    /// with their noise, do not fit into the memory of this machine. `features` are the numbers of encoders' features of one
    /// picture.
    package static func checkMemory(_ c: TrainingConfiguration, features: Int = 0, launch: Launch?) throws {
        let (ranks, onHost) = (launch?.size ?? 1, launch?.localSize ?? 1)
        try ProcessMemory.check(stateOf: c, ranks: ranks, onHost: onHost)
        let batches = LoaderSettings(batchSize: c.batch).ahead + 2
        let share = c.batch / ranks * onHost
        let loaded = 2 * c.network.elementsPerSample + features
        try ProcessMemory.check(arrays: batches, ofBatch: share, elementsPerSample: loaded)
    }

    func makeLoader() -> Loader<TrainingDraws> {
        let (c, draws) = (configuration, Draws(seed: configuration.seed))
        let elementsPerSample = c.network.elementsPerSample
        let positions = world.share(of: c.batch)
        var settings = LoaderSettings(batchSize: c.batch)
        settings.positions = positions
        settings.flips = c.data.flips
        settings.features = targets.stored
        settings.featuresStop = state.objective.alignmentSettings?.stopStep ?? .max
        settings.firstStep = state.step
        return Loader(dataset: dataset, draws: draws, settings: settings) { step in
            TrainingDraws(
                draws, step: step, batch: c.batch, positions: positions, elementsPerSample: elementsPerSample,
                path: c.diffusion.path,
                sampling: c.diffusion.timeSampling, labelDrop: c.diffusion.labelDrop)
        }
    }

    func microBatches(of loaded: LoadedBatch<TrainingDraws>) throws -> [Batch] {
        let (c, share) = (configuration.network, world.share(of: configuration.batch))
        let size = share.count / configuration.accumulation
        return try stride(from: share.lowerBound, to: share.upperBound, by: size).map { start in
            let places = start - share.lowerBound..<start - share.lowerBound + size
            var batch = loaded.draws.batch(
                start..<start + size, clean: loaded.images, labels: loaded.labels,
                shape: [c.channels, c.inputSize, c.inputSize], classes: c.classes, on: device)
            batch.targets = try targets.tensors(of: loaded, at: places, clean: batch.clean)
            return batch
        }
    }
}
