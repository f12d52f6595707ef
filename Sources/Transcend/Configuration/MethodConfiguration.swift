import Diffusion

/// A method with its settings, written as its name and the settings beside it.
public struct MethodConfiguration: Codable, Sendable, Equatable {
    /// The method with its settings.
    public var method: any Method

    /// Of one of `Methods.all`, so that what is written can be read again.
    public init(_ method: any Method) {
        self.method = method
    }

    /// What `--stage` calls the method.
    public var name: String { type(of: method).name }

    /// What the method follows of pretrained encoders; nil for one that follows none, which can be given no other value.
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
