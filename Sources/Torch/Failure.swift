import CTorch
import Formats
import Foundation
import Synchronization

/// A failure of libtorch, in one sentence: operation, operand shapes, part of the network, libtorch's reason.
public struct TorchError: Error, CustomStringConvertible, Sendable {
    /// "OPERATION of SHAPES in PART: REASON", without a full stop.
    public let description: String

    /// An error with this text, one line.
    public init(_ description: String) {
        self.description = description
    }
}

/// The first failure inside one `withErrors`. Confined to the thread that runs the closure.
final class ErrorScope: @unchecked Sendable {
    var first: TorchError?
}

/// What ends the process where a tensor operation fails outside `withErrors`: it writes one line to stderr and exits with status 1,
/// unless a program sets its own way before it computes.
public let endOnFailure = Mutex<@Sendable (TorchError) -> Never> { error in
    StandardError.write("error: \(error)\n")
    exit(1)
}

/// Where failures go, and what they say of their place.
///
/// Tensor operations do not throw, so that networks read like formulas. A failed one ends the program with one line
/// on stderr, unless it runs inside `withErrors`.
enum Failure {
    @TaskLocal static var scope: ErrorScope?
    @TaskLocal static var modulePath = ""

    /// Whether an operation of the present scope has failed already, so that later ones need not run.
    @inline(__always) static var isPending: Bool { scope?.first != nil }

    /// Records the failure in the present scope, or ends the program.
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

    /// Its first line.
    static var lastSentence: String { firstLine(of: lastMessage) }

    private static func firstLine(of message: String) -> String {
        message.split(separator: "\n").first.map(String.init) ?? "no reason given"
    }

    /// Reports a status other than 0 under the operation's name and the shape of what it was done to.
    @inline(__always)
    static func check(_ status: Int32, _ operation: StaticString, of operand: Tensor? = nil) {
        if status != 0 { report("\(operation)", operand.map { [$0.shape] } ?? [], lastMessage) }
    }
}

/// Runs `body`; the first tensor operation in it that fails is thrown when `body` has ended.
///
/// After a failure the remaining operations of `body` do not run and return an empty scalar, so results count only when
/// nothing is thrown. Within another one that has failed already, `body` does not run and that failure is thrown. For everything
/// that a file, a user's sizes or lack of memory can cause.
public func withErrors<Result>(_ body: () throws -> Result) throws -> Result {
    if let error = Failure.scope?.first { throw error }
    let scope = ErrorScope()
    let result = Swift.Result { try Failure.$scope.withValue(scope, operation: body) }
    if let error = scope.first { throw error }
    return try result.get()
}

/// Names the part of a network that `body` computes, for the message of an operation that fails in it; parts of parts are
/// joined by dots.
public func within<Result>(_ modulePath: String, _ body: () throws -> Result) rethrows -> Result {
    let outer = Failure.modulePath
    return try Failure.$modulePath.withValue(outer.isEmpty ? modulePath : "\(outer).\(modulePath)", operation: body)
}
