/// The element type of an array, by its name in safetensors files; all types are little-endian in files.
///
/// The cases are in the order in which the format's own library sorts them.
public enum ElementType: String, Codable, Sendable, CaseIterable {
    // swift-format-ignore: AlwaysUseLowerCamelCase
    case BOOL, U8, I8, F8_E5M2, F8_E4M3, I16, U16, F16, BF16, I32, U32, F32, C64, F64, I64, U64

    /// The size of one element in bytes.
    public var byteCount: Int {
        switch self {
        case .F64, .I64, .U64, .C64: 8
        case .F32, .I32, .U32: 4
        case .F16, .BF16, .I16, .U16: 2
        case .I8, .U8, .BOOL, .F8_E5M2, .F8_E4M3: 1
        }
    }

    /// The size in bytes of an array of this `shape`; nil if a dimension is negative or the size exceeds 2^63 - 1.
    public func byteCount(shape: [Int]) -> Int? {
        var count = byteCount
        for side in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: side)
            if side < 0 || overflow { return nil }
            count = product
        }
        return count
    }
}
