/// The header of a `.npy` file: a Python dictionary with descr, fortran_order and shape.
struct NumpyHeader {
    let type: ElementType
    let shape: [Int]

    private static let codes: [(code: String, type: ElementType)] = [
        ("<f8", .F64), ("<f4", .F32), ("<f2", .F16), ("<i8", .I64), ("<i4", .I32), ("<i2", .I16), ("|i1", .I8),
        ("|u1", .U8), ("|b1", .BOOL), ("<u2", .U16), ("<u4", .U32), ("<u8", .U64), ("<c8", .C64),
    ]

    /// NumPy's name of an element type.
    static func code(_ type: ElementType) -> String {
        codes.first { $0.type == type }?.code ?? ""
    }

    /// Parses the text; throws a `FileError` for `name` if it is not exactly what NumPy writes for a plain array.
    init(_ text: UnsafeRawBufferPointer, name: String) throws {
        var parser = Parser(rest: text[...])
        guard let fields = parser.fields() else {
            throw FileError(name, "has a header that is not that of a plain array in NumPy's format")
        }
        guard let type = Self.codes.first(where: { $0.code == fields.code })?.type else {
            let known = Self.codes.map(\.code).joined(separator: ", ")
            throw FileError(name, "has elements of type \(fields.code)", remedy: "store it as one of \(known)")
        }
        guard !fields.isFortran || fields.shape.count <= 1 else {
            throw FileError(name, "is in Fortran order", remedy: "store numpy.ascontiguousarray of it")
        }
        self.type = type
        self.shape = fields.shape
    }

    private struct Fields {
        var code: String
        var isFortran: Bool
        var shape: [Int]
    }

    private struct Parser {
        var rest: Slice<UnsafeRawBufferPointer>

        mutating func fields() -> Fields? {
            var code: String?
            var isFortran: Bool?
            var shape: [Int]?
            guard take("{") else { return nil }
            while !take("}") {
                guard let key = string(), take(":") else { return nil }
                switch key {
                case "descr" where code == nil: code = string()
                case "fortran_order" where isFortran == nil: isFortran = truth()
                case "shape" where shape == nil: shape = tuple()
                default: return nil
                }
                guard take(",") || rest.first == UInt8(ascii: "}") else { return nil }
            }
            skipSpace()
            guard rest.isEmpty, let code, let isFortran, let shape else { return nil }
            return Fields(code: code, isFortran: isFortran, shape: shape)
        }

        private mutating func string() -> String? {
            skipSpace()
            guard let quote = rest.first, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\""),
                let end = rest.dropFirst().firstIndex(of: quote)
            else { return nil }
            defer { rest = rest[(end + 1)...] }
            return String(validating: rest[(rest.startIndex + 1)..<end], as: UTF8.self)
        }

        private mutating func truth() -> Bool? {
            if take("True") { return true }
            return take("False") ? false : nil
        }

        private mutating func tuple() -> [Int]? {
            guard take("(") else { return nil }
            var sides: [Int] = []
            while !take(")") {
                skipSpace()
                let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
                guard let side = Int(String(decoding: digits, as: UTF8.self)) else { return nil }
                rest = rest[digits.endIndex...]
                sides.append(side)
                guard sides.count <= NumpyFile.maximumRank else { return nil }
                guard take(",") || rest.first == UInt8(ascii: ")") else { return nil }
            }
            return sides
        }

        private mutating func take(_ text: String) -> Bool {
            skipSpace()
            guard rest.starts(with: text.utf8) else { return false }
            rest = rest.dropFirst(text.utf8.count)
            return true
        }

        private mutating func skipSpace() {
            rest = rest.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") }
        }
    }
}
