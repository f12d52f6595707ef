import Models
import Torch

/// The two readings of a method where a paper's text and its published code differ: in the target of stage 1, the
/// meaning of the window, and SRA's distance measure.
public enum Reading: String, Codable, Sendable, CaseIterable {
    /// The paper's text.
    case paper
    /// The published code.
    case published

    var semantics: TimeWindow.Semantics { self == .paper ? .perSample : .batchMean }
}

/// A training method: its value holds its settings, and it makes the objective.
///
/// A new method is one file with a conforming type, and a line in `Methods.all`.
public protocol Method: Codable, Sendable, Equatable {
    /// The name of the method for `--stage`.
    static var name: String { get }
    /// Every setting of the method, by its key below `method.`.
    static var settings: [SettingDescription] { get }
    /// The network whose features the objective follows.
    var follows: FollowedNetwork { get }
    /// Whether the followed network is also evaluated without a label, which it must have been trained for.
    var asksNullClass: Bool { get }
    /// Creates the default settings.
    init(defaultsFor network: SiTConfiguration, reading: Reading)
    /// The reason why the settings cannot be combined or used with the network, in one sentence; nil if they can. Each
    /// single value is already within the range that `settings` allows.
    func problem(for network: SiTConfiguration) -> String?
    /// Builds the objective, its head not yet initialised. `teacher` is given if a network is followed.
    func objective(for network: SiTConfiguration, teacher: SiT?, on device: Device) -> any Objective
    /// The FLOPs of the matrix products that head and teacher add to a training step, per image.
    func addedFLOPs(for network: SiTConfiguration) -> Double
}

extension Method {
    /// No network by default.
    public var follows: FollowedNetwork { .none }
    public var asksNullClass: Bool { false }

    /// The weights of the trained network that is followed; nil if none is.
    public var followedWeights: NetworkWeights? {
        if case .trained(let weights) = follows { weights } else { nil }
    }
}

/// A method that follows features of pretrained encoders, which are part of each batch.
public protocol FollowsEncoders: Method {
    /// The encoders, and how their features match the network's tokens; below `method.targets.` of a configuration.
    var targets: TargetSettings { get set }
}

/// A network whose features a method follows.
public enum FollowedNetwork: Sendable, Equatable {
    /// No network other than the one being trained.
    case none
    /// A previously trained network, with these of its weights.
    case trained(NetworkWeights)
    /// The EMA of the network being trained.
    case average
}

/// The kind of weights in a checkpoint.
public enum NetworkWeights: String, Codable, Sendable, CaseIterable {
    /// The weights as the optimiser left them.
    case raw
    /// The exponential moving average (EMA) of the weights.
    case ema
}

/// The methods that `--stage` knows.
public enum Methods {
    /// All methods, in the order in which messages and documents list them.
    public static let all: [any Method.Type] = [
        Plain.self, AlignLatent.self, SelfGuided.self, REPA.self, SRA.self, LayerSync.self,
    ]

    /// The names of all methods, for messages: "plain, align, ...".
    public static let names = all.map { $0.name }.joined(separator: ", ")

    /// The method with this name; nil if there is none.
    public static func named(_ name: String) -> (any Method.Type)? { all.first { $0.name == name } }
}

/// An optional setting that is written as null if absent, so that a stored configuration shows every key.
@propertyWrapper
public struct Nullable<Value: Codable & Sendable & Equatable>: Codable, Sendable, Equatable {
    /// The value; nil is written as null.
    public var wrappedValue: Value?

    /// Wraps a value or nil.
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
