/// Between the bytes of pictures and the numbers that networks see.
public enum PixelRange: Sendable {
    /// -1 to 1: of diffusion in pixels and of Stable Diffusion's autoencoders; byte / 127.5 - 1.
    case signed
    /// 0 to 1: of TAESD's autoencoders; byte / 255.
    case unit

    /// The number of a byte.
    public func number(_ byte: UInt8) -> Float {
        self == .signed ? Float(byte) / 127.5 - 1 : Float(byte) / 255
    }

    /// The byte of a number: clamped and cut, not rounded, as REPA's and ADM's scripts do; not a number becomes 0.
    public func byte(_ number: Float) -> UInt8 {
        let scaled = 255 * (self == .signed ? (number + 1) / 2 : number)
        return scaled > 0 ? UInt8(min(255, scaled)) : 0
    }
}
