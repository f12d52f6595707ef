import CTorch
import Formats
import Foundation
import Synchronization

/// A failure of libtorch, in one sentence: operation, operand shapes, part of the network, libtorch's reason.
public struct TorchError: Error, CustomStringConvertible, Sendable {
    /// The message "OPERATION of SHAPES in PART: REASON", without a full stop.
    public let description: String

    /// Creates an error with this one-line text.
    public init(_ description: String) {
        self.description = description
    }
}

/// The first failure inside one `withErrors`. Confined to the thread that runs the closure.
final class ErrorScope: @unchecked Sendable {
    var first: TorchError?
}

/// Ends the process when a tensor operation fails outside `withErrors`: by default it writes one line to stderr and
/// exits with status 1; a program may set its own function before it computes.
public let endOnFailure = Mutex<@Sendable (TorchError) -> Never> { error in
    StandardError.write("error: \(error)\n")
    exit(1)
}

/// Handles failures and their location.
///
/// Tensor operations do not throw, so that networks read like formulas. A failed one ends the program with one line on
/// stderr, unless it runs inside `withErrors`.
enum Failure {
    @TaskLocal static var scope: ErrorScope?
    @TaskLocal static var modulePath = ""

    /// Whether an operation of the current scope has already failed, so that later ones need not run.
    @inline(__always) static var isPending: Bool { scope?.first != nil }

    /// Records the failure in the current scope, or ends the program.
    static func report(_ operation: String, _ operands: [[Int]], _ reason: String) {
        let shapes = operands.isEmpty ? "" : " of " + operands.map { "\($0)" }.joined(separator: ", ")
        let place = modulePath.isEmpty ? "" : " in \(modulePath)"
        let sentence = Self.firstLine(of: reason)
        let error = TorchError("\(operation)\(shapes)\(place): \(sentence)")
        if let scope {
            scope.first = scope.first ?? error
        } else {
            endOnFailure.withLock { $0 }(error)
        }
    }

    /// libtorch's message of this thread's last failed call.
    static var lastMessage: String { String(cString: ct_error()) }

    /// The first line of `lastMessage`.
    static var lastSentence: String { firstLine(of: lastMessage) }

    private static func firstLine(of message: String) -> String {
        message.split(separator: "\n").first.map(String.init) ?? "no reason given"
    }

    /// Reports a status other than 0 with the operation's name and the shape of its operand.
    @inline(__always)
    static func check(_ status: Int32, _ operation: StaticString, of operand: Tensor? = nil) {
        if status != 0 { report("\(operation)", operand.map { [$0.shape] } ?? [], lastMessage) }
    }
}

/// Runs `body`, and throws the first failure of a tensor operation in it once `body` has ended.
///
/// After a failure the remaining operations of `body` do not run and return an empty scalar, so results count only if
/// nothing is thrown. Inside another `withErrors` that has already failed, `body` does not run and that failure is
/// thrown. Use it for everything that a file, user-chosen sizes or lack of memory can cause.
public func withErrors<Result>(_ body: () throws -> Result) throws -> Result {
    if let error = Failure.scope?.first { throw error }
    let scope = ErrorScope()
    let result = Swift.Result { try Failure.$scope.withValue(scope, operation: body) }
    if let error = scope.first { throw error }
    return try result.get()
}

/// Names the part of a network that `body` computes, for the message of an operation that fails in it; nested parts are
/// joined by dots.
public func within<Result>(_ modulePath: String, _ body: () throws -> Result) rethrows -> Result {
    let outer = Failure.modulePath
    return try Failure.$modulePath.withValue(outer.isEmpty ? modulePath : "\(outer).\(modulePath)", operation: body)
}
