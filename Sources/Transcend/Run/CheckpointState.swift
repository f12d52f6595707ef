import Data
import Formats
import Torch

extension Checkpoint {
    /// The content of `state.json`: the state of training, and the expected files beside it.
    public struct State: Codable, Sendable {
        /// The version of the checkpoint format.
        public var formatVersion = Self.currentFormat
        /// The version of the addresses of random numbers.
        public var drawsVersion = Draws.formatVersion
        /// The number of steps done, including skipped ones.
        public var step: Int
        /// The skipped steps, which changed nothing.
        public var skips = SkippedSteps()
        /// The trend of each loss, by its name.
        public var lossTrends: [String: LossTrend] = [:]
        /// The classes of the data, indexed by label; as many as the network has.
        public var classNames: [String]
        /// The number of images in the data set.
        public var imageCount: Int
        /// The encoding of the data's latents, needed to decode samples; nil for pixels.
        public var latents: LatentEncoding?
        /// The files of the encoders whose features were followed, with checksums; nil if there were none.
        public var encoders: [String]?
        /// The configuration with which training was last started.
        public var configuration: TrainingConfiguration
        /// The checksum of each file beside this one, by name.
        public var checksums: [String: String] = [:]

        static let file = "state.json"
        private static let currentFormat = 2
        /// The member with the checksum of all others.
        private static let seal = "checksum"

        /// The content of `state.json`.
        func text() throws -> String {
            let tree = try JSONValue(encoding: self)
            let seal = JSONValue.Member(Self.seal, .string(tree.checksum))
            return JSONValue.object((tree.members ?? []) + [seal]).text(.pretty) + "\n"
        }

        /// Reads `state.json`; throws a `FileError` if it is damaged or comes from another version.
        static func read(_ path: String) throws -> State {
            let document: JSONValue
            do {
                document = try JSONValue.read(path: path)
            } catch var error as FileError {
                if error.remedy.isEmpty { error.remedy = Checkpoint.damageRemedy }
                throw error
            }
            guard document["formatVersion"]?.int == currentFormat else {
                throw FileError(
                    path,
                    "has format version \(document["formatVersion"]?.text() ?? "none"), this program reads "
                        + "\(currentFormat)", remedy: "use the version of transcend that wrote it")
            }
            let rest = JSONValue.object((document.members ?? []).filter { $0.key != seal })
            guard document[seal]?.string == rest.checksum else {
                throw FileError(
                    path, "is damaged (its checksum is wrong)", remedy: Checkpoint.damageRemedy)
            }
            do {
                // Settings that did not exist when the checkpoint was written take their defaults.
                let configuration = try TrainingConfiguration(stored: rest["configuration"] ?? .null)
                let completed = ConfigurationTree.replacing(
                    "configuration", by: try ConfigurationTree.tree(of: configuration), in: rest)
                let state = try completed.decoded(as: State.self)
                if let problem = state.problem { throw ConfigurationError(problem) }
                return state
            } catch {
                throw FileError(path, "cannot be understood (\(error))")
            }
        }

        /// The reason why a file's content cannot be a state; nil if it can.
        private var problem: String? {
            if drawsVersion != Draws.formatVersion {
                return "its random numbers are of version \(drawsVersion), this program makes \(Draws.formatVersion)"
            }
            if let problem = configuration.network.problem { return problem }
            if !(0...TrainingConfiguration.largestStep).contains(step) { return "its step is \(step)" }
            if !(0...step).contains(skips.total) || !(0...skips.total).contains(skips.inARow) {
                return "it counts \(skips.total) skipped steps of \(step)"
            }
            if classNames.count != configuration.network.classes {
                return "it names \(classNames.count) classes of \(configuration.network.classes)"
            }
            let channels = configuration.network.channels
            if let latents, latents.shift.count != channels || latents.scale.count != channels {
                return "its latents are normalised in \(latents.scale.count) channels of \(channels)"
            }
            return nil
        }
    }
}

extension JSONValue {
    /// The checksum of the document as text without white space.
    fileprivate var checksum: String { Checksum(of: text()).text }
}
