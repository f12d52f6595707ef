import Formats

/// Writes the elements of a record as float32: bytes b as b / 127.5 - 1, F16 and F32 unchanged.
///
/// `bytes` holds exactly the elements that fill `numbers`, not necessarily aligned.
func copyNumbers(
    _ bytes: UnsafeRawBufferPointer, of type: ElementType, into numbers: UnsafeMutableBufferPointer<Float>
) {
    precondition(bytes.count == numbers.count * type.byteCount)
    guard let target = numbers.baseAddress else { return }
    switch type {
    case .U8:
        for index in 0..<numbers.count { target[index] = PixelRange.signed.number(bytes[index]) }
    case .F16:
        // Exact for all finite numbers: the exponent of a float16 is 112 less than that of a float32. Integer
        // operations vectorise on every CPU; the type's own conversion does not.
        for index in 0..<numbers.count {
            let bits = UInt32(bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
            let magnitude = Float(bitPattern: (bits & 0x7FFF) << 13) * 0x1p112
            target[index] = Float(bitPattern: magnitude.bitPattern | (bits & 0x8000) << 16)
        }
    case .F32:
        UnsafeMutableRawBufferPointer(numbers).copyMemory(from: bytes)
    default: preconditionFailure("records have no \(type)")
    }
}

/// The elements of records as F16 (rounded to the nearest) or F32 bytes.
///
/// Throws a `FileError` for `name` if an element is not finite or too large for the type.
public func recordBytes(_ numbers: [Float], as type: ElementType, name: @autoclosure () -> String) throws -> [UInt8] {
    if let wrong = numbers.first(where: { !$0.isFinite }) {
        throw FileError(name(), "has a latent that is \(wrong)", remedy: "check the autoencoder and its precision")
    }
    guard type == .F16 else { return numbers.withUnsafeBytes { Array($0) } }
    let halves = numbers.map { Float16($0) }
    if let place = halves.firstIndex(where: { !$0.isFinite }) {
        throw FileError(name(), "has the latent \(numbers[place]), too large for float16", remedy: "give --type f32")
    }
    return halves.withUnsafeBytes { Array($0) }
}
