import Diffusion

/// A method with its settings, encoded as its name with the settings beside it.
public struct MethodConfiguration: Codable, Sendable, Equatable {
    /// The method with its settings.
    public var method: any Method

    /// Wraps one of `Methods.all`, so that what is written can be read again.
    public init(_ method: any Method) {
        self.method = method
    }

    /// The name of the method for `--stage`.
    public var name: String { type(of: method).name }

    /// The method's encoder targets; nil for a method that follows no encoders, for which it cannot be set.
    public var targets: TargetSettings? {
        get { (method as? any FollowsEncoders)?.targets }
        set {
            guard var following = method as? any FollowsEncoders, let newValue else { return }
            following.targets = newValue
            method = following
        }
    }

    private enum Key: String, CodingKey {
        case name
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        let name = try container.decode(String.self, forKey: .name)
        guard let type = Methods.named(name) else {
            throw DecodingError.dataCorruptedError(
                forKey: .name, in: container,
                debugDescription: "no method is called \(name); there are \(Methods.names)")
        }
        method = try type.init(from: decoder)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(name, forKey: .name)
        try method.encode(to: encoder)
    }

    public static func == (a: Self, b: Self) -> Bool { equal(a.method, b.method) }

    private static func equal<First: Method>(_ a: First, _ b: any Method) -> Bool { a == b as? First }
}
