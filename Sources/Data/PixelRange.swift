/// The range of numbers that represent a picture's bytes in a network.
public enum PixelRange: Sendable {
    /// -1 to 1, for diffusion on pixels and Stable Diffusion's autoencoders: byte / 127.5 - 1.
    case signed
    /// 0 to 1, for TAESD's autoencoders: byte / 255.
    case unit

    /// Converts a byte to a number.
    public func number(_ byte: UInt8) -> Float {
        self == .signed ? Float(byte) / 127.5 - 1 : Float(byte) / 255
    }

    /// Converts a number to a byte: clamped and truncated, not rounded, as in REPA's and ADM's scripts; NaN becomes 0.
    public func byte(_ number: Float) -> UInt8 {
        let scaled = 255 * (self == .signed ? (number + 1) / 2 : number)
        return scaled > 0 ? UInt8(min(255, scaled)) : 0
    }
}
