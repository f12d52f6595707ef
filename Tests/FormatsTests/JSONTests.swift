import Formats
import Testing

@Suite struct JSONTests {
    @Test func valuesAreReadExactly() throws {
        let numbers = "1, -0, 9223372036854775807, -9223372036854775808, 0.1, -2.5e-3, 1E5"
        let value = try JSONValue(parsing: #" {"a": [\#(numbers)], "b": {"t": true, "n": null}} "#)
        #expect(
            value["a"]
                == .array([.int(1), .int(0), .int(.max), .int(.min), .number(0.1), .number(-0.0025), .number(100_000)]))
        #expect(value["b"]?["t"]?.bool == true)
        #expect(value["b"]?["n"] == .null)
        #expect(value["c"] == nil)
    }

    @Test func stringsAreUnescaped() throws {
        let value = try JSONValue(parsing: #""é図 \u00e9\n\"\\\/\t\uD83D\uDE00""#)
        #expect(value == "é図 é\n\"\\/\t😀")
    }

    @Test(arguments: [
        ("", 1, 1, "the text ends where a value is expected"),
        ("{\"a\": 1,\n \"b\": 01}", 2, 7, "a number may not begin with 0"),
        ("[1, 2", 1, 6, "\",\" or \"]\" is expected"),
        ("[1,]", 1, 4, "a value is expected"),
        ("{\"a\" 1}", 1, 6, "\":\" is expected"),
        ("{\"a\": 1, \"a\": 2}", 1, 10, "the name \"a\" occurs twice"),
        ("{a: 1}", 1, 2, "a name in quotation marks is expected"),
        ("[1] 2", 1, 5, "text after the end of the value"),
        ("tru", 1, 4, "a value is expected"),
        ("NaN", 1, 1, "a value is expected"),
        ("-", 1, 2, "a digit is expected"),
        ("1.", 1, 3, "a digit is expected"),
        ("9223372036854775808", 1, 1, "the integer exceeds 64 bits"),
        ("1e999", 1, 1, "the number exceeds the range of double precision"),
        ("\"a\nb\"", 1, 3, "a control character stands in a string; write it as an escape"),
        ("\"\\x\"", 1, 3, "unknown escape in a string"),
        ("\"\\u12G4\"", 1, 6, "four hexadecimal digits are expected"),
        ("\"\\ud800\"", 1, 8, "half of a surrogate pair"),
        ("\"\\ude00\"", 1, 8, "half of a surrogate pair"),
        ("\"open", 1, 6, "the text ends within a string"),
    ])
    func errorsNameTheirPlace(text: String, line: Int, column: Int, problem: String) {
        #expect(throws: JSONError(line: line, column: column, problem: problem)) { try JSONValue(parsing: text) }
    }

    @Test func nestingIsLimited() throws {
        let deepest = JSONValue.maximumDepth
        _ = try JSONValue(parsing: String(repeating: "[", count: deepest) + String(repeating: "]", count: deepest))
        #expect(throws: JSONError.self) { try JSONValue(parsing: String(repeating: "[", count: 1_000_000)) }
    }

    @Test func bytesThatAreNotTextAreRefused() {
        #expect(throws: JSONError(line: 1, column: 3, problem: "the string is not UTF-8")) {
            try ([0x22, 0xFF, 0x22] as [UInt8]).withUnsafeBytes { try JSONValue(parsing: $0) }
        }
    }

    @Test func serialisedValuesAreReadBackEqual() throws {
        let value: JSONValue = [
            "name": "a \"b\"\\\n\u{1}é", "list": [1, 2.5, 1e-7, true, nil], "nested": [["x": []], [:]], "empty": [:],
        ]
        #expect(
            value.text()
                == #"{"name":"a \"b\"\\\n\u0001é","list":[1,2.5,1e-07,true,null],"nested":[{"x":[]},{}],"empty":{}}"#)
        #expect(
            value.text(.pretty) == #"""
                {
                  "name": "a \"b\"\\\n\u0001é",
                  "list": [1, 2.5, 1e-07, true, null],
                  "nested": [
                    {
                      "x": []
                    },
                    {}
                  ],
                  "empty": {}
                }
                """#)
        #expect(try JSONValue(parsing: value.text()) == value)
        #expect(try JSONValue(parsing: value.text(.pretty)) == value)
    }
}
