import Models
import Torch

/// Two readings where a paper's text and its published code differ: in the target of stage 1, in what the window means, and in
/// SRA's measure of distance.
public enum Reading: String, Codable, Sendable, CaseIterable {
    /// The paper's text.
    case paper
    /// The published code.
    case published

    var semantics: TimeWindow.Semantics { self == .paper ? .perSample : .batchMean }
}

/// A way to train: its value is its settings, and it makes the objective.
///
/// A new method is one file with a type that conforms, and its line in `Methods.all`.
public protocol Method: Codable, Sendable, Equatable {
    /// What `--stage` calls it.
    static var name: String { get }
    /// Every setting of the method, by its key below `method.`.
    static var settings: [SettingDescription] { get }
    /// The network whose features the objective follows.
    var follows: FollowedNetwork { get }
    /// Whether the followed network is also asked without a label, for which it has to have been trained.
    var asksNullClass: Bool { get }
    /// The settings where nothing else is said.
    init(defaultsFor network: SiTConfiguration, reading: Reading)
    /// What is impossible about the settings together and with the network, in one sentence; nil if nothing is. Each by
    /// itself is as `settings` allows.
    func problem(for network: SiTConfiguration) -> String?
    /// Builds the objective, its head not yet initialised. `teacher` is there where a network is followed.
    func objective(for network: SiTConfiguration, teacher: SiT?, on device: Device) -> any Objective
    /// FLOPs of the matrix products that one image adds to a training step in head and teacher.
    func addedFLOPs(for network: SiTConfiguration) -> Double
}

extension Method {
    /// Most follow no network.
    public var follows: FollowedNetwork { .none }
    public var asksNullClass: Bool { false }

    /// The weights of the trained network that is followed; nil if none is.
    public var followedWeights: NetworkWeights? {
        if case .trained(let weights) = follows { weights } else { nil }
    }
}

/// A method that follows features of pretrained encoders, which come with each batch.
public protocol FollowsEncoders: Method {
    /// Whose features, and how they meet the network's tokens; below `method.targets.` of a configuration.
    var targets: TargetSettings { get set }
}

/// A network whose features a method follows.
public enum FollowedNetwork: Sendable, Equatable {
    /// No other than the one that is trained.
    case none
    /// One that was trained before, with these of its weights.
    case trained(NetworkWeights)
    /// The average of the one that is trained.
    case average
}

/// Which weights of a checkpoint are meant.
public enum NetworkWeights: String, Codable, Sendable, CaseIterable {
    /// As the optimiser left them.
    case raw
    /// Their running average.
    case ema
}

/// The methods that `--stage` knows.
public enum Methods {
    /// In the order in which messages and documents list them.
    public static let all: [any Method.Type] = [
        Plain.self, AlignLatent.self, SelfGuided.self, REPA.self, SRA.self, LayerSync.self,
    ]

    /// What `--stage` may be: "plain, align, ...".
    public static let names = all.map { $0.name }.joined(separator: ", ")

    /// The method that `--stage` calls so; nil if there is none.
    public static func named(_ name: String) -> (any Method.Type)? { all.first { $0.name == name } }
}

/// A setting that may be absent and is then written as null, so that a stored configuration shows every key.
@propertyWrapper
public struct Nullable<Value: Codable & Sendable & Equatable>: Codable, Sendable, Equatable {
    /// The value; nil is written as null.
    public var wrappedValue: Value?

    /// A value, or nil.
    public init(wrappedValue: Value?) {
        self.wrappedValue = wrappedValue
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        wrappedValue = container.decodeNil() ? nil : try container.decode(Value.self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let wrappedValue { try container.encode(wrappedValue) } else { try container.encodeNil() }
    }
}
