import ArgumentParser
import Transcend

/// The options of commands that several processes can run together.
struct RankOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Seconds after which a rank that does not come or get on ends all.", valueName: "s", visibility: .hidden))
    var rankTimeout = 300.0

    /// Runs `body` together with the processes described by the environment.
    func join<Result>(device: String, _ body: (World) throws -> Result) throws -> Result {
        guard rankTimeout >= 1 else { throw ConfigurationError("--rank-timeout \(rankTimeout): give 1 or more") }
        return try World.join(Launch(), device: device, timeout: rankTimeout, body)
    }
}

extension World {
    /// The device of this process for a device name given on the command line.
    func deviceName(_ name: String) throws -> String { try launch?.device(named: name).description ?? name }
}
