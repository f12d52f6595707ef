import Foundation
import Testing
import Transcend

/// What the environments of launchers say, as their documentation describes it.
@Suite struct LaunchTests {
    @Test func aProcessWithoutALauncherIsAlone() throws {
        #expect(try Launch(environment: [:]) == nil)
        #expect(try Launch(environment: ["WORLD_SIZE": "1", "RANK": "0"]) == nil)
        // A batch script of SLURM, outside of srun.
        #expect(try Launch(environment: ["SLURM_PROCID": "0", "SLURM_NTASKS": "8"]) == nil)
    }

    @Test func torchrunIsUnderstood() throws {
        let launch = try #require(
            try Launch(environment: [
                "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "10.0.0.1",
                "MASTER_PORT": "1234", "TORCHELASTIC_USE_AGENT_STORE": "True",
            ]))
        #expect((launch.rank, launch.size, launch.localRank, launch.localSize) == (5, 8, 1, 4))
        #expect((launch.address, launch.port) == ("10.0.0.1", 1234))
        #expect(launch.isServed)
    }

    @Test func slurmIsUnderstood() throws {
        let launch = try #require(
            try Launch(environment: [
                "SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "11", "SLURM_LOCALID": "1", "SLURM_NODEID": "1",
                "SLURM_STEP_TASKS_PER_NODE": "4(x2),3", "SLURM_STEP_NODELIST": "gpu[07-08,11],big1",
            ]))
        #expect((launch.rank, launch.size, launch.localRank, launch.localSize) == (5, 11, 1, 4))
        #expect((launch.address, launch.port) == ("gpu07", 29500))
        for (list, first) in [("n1,n2", "n1"), ("a[3-5]-ib,b", "a3-ib"), ("x,y[1-2]", "x"), ("solo", "solo")] {
            let environment = ["SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": list]
            #expect(try Launch(environment: environment)?.address == first)
        }
    }

    @Test func openMPIIsUnderstood() throws {
        var environment = [
            "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1",
            "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
        ]
        #expect(try Launch(environment: environment)?.address == "127.0.0.1")
        environment["OMPI_COMM_WORLD_LOCAL_RANK"] = "0"
        environment["OMPI_COMM_WORLD_LOCAL_SIZE"] = "1"
        #expect(
            message(environment) == "MASTER_ADDR is missing: give the address of the host of rank 0 to all 2 processes")
    }

    @Test func theHostIsUnderstoodByHand() throws {
        let one = try #require(try Launch(environment: ["RANK": "3", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "8"]))
        #expect((one.localRank, one.localSize) == (3, 8) && one.address == "127.0.0.1")
        for more in [[:], ["LOCAL_WORLD_SIZE": "1"]] {
            let environment = ["RANK": "3", "WORLD_SIZE": "8", "MASTER_ADDR": "h"].merging(more) { $1 }
            let each = try #require(try Launch(environment: environment))
            #expect((each.localRank, each.localSize) == (0, 1))
        }
    }

    @Test func eachProcessOfAHostTakesItsOwnDevice() throws {
        var environment = [
            "RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "h",
        ]
        let launch = try #require(try Launch(environment: environment))
        #expect(try launch.device(named: "cuda", ofProcess: 1).description == "cuda:1")
        #expect(try launch.device(named: "cpu", ofProcess: 1).description == "cpu")
        let error = #expect(throws: ConfigurationError.self) { try launch.device(named: "cuda:1") }
        #expect(error?.description.contains("--device cuda:1: 2 processes on a host would share it") == true)
        environment.merge(["LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"]) { $1 }
        #expect(try Launch(environment: environment)?.device(named: "cuda:1", ofProcess: 0).description == "cuda:1")
    }

    /// A ring passes each gradient twice but for a rank's own part, and spread parameters once more.
    @Test func whatIsSentIsCounted() throws {
        let cost = CostEstimate(try tinyConfiguration("plain"))
        #expect(cost.bytesSent(ranks: 1, isSpread: true) == 0)
        #expect(abs(cost.bytesSent(ranks: 2, isSpread: false) - 4 * cost.networkParameters) < 16)
        #expect(abs(cost.bytesSent(ranks: 2, isSpread: true) - 6 * cost.networkParameters) < 16)
    }

    /// The network is of a size whose state takes two thirds of this machine's memory.
    @Test func processesOfOneHostShareItsMemory() throws {
        let memory = Double(ProcessInfo.processInfo.physicalMemory)
        // A block has 18 hidden^2 parameters, of 20 bytes each with gradients, moments and averages.
        let depth = Int(memory * 2 / 3 / (20 * 18 * 1024 * 1024))
        let large = try tinyConfiguration(
            "plain",
            [Setting("network.hidden", 1024), Setting("network.depth", .int(Int64(depth))), Setting("device", "cpu")])
        try ProcessMemory.check(stateOf: large)
        try ProcessMemory.check(stateOf: large, ranks: 2)
        let error = #expect(throws: ConfigurationError.self) {
            try ProcessMemory.check(stateOf: large, ranks: 2, onHost: 2)
        }
        #expect(error?.description.contains("to train, this machine has") == true)
    }

    @Test(
        arguments: [
            (["RANK": "0"], "RANK is set and WORLD_SIZE is missing"),
            (["WORLD_SIZE": "2"], "WORLD_SIZE is set and RANK is missing"),
            (["RANK": "2", "WORLD_SIZE": "2"], "RANK=2: a number from 0 to 1"),
            (["RANK": "x", "WORLD_SIZE": "2"], "RANK=x: a number"),
            (["RANK": "0", "WORLD_SIZE": "0"], "WORLD_SIZE=0: a number from 1"),
            (
                ["RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "1"],
                "LOCAL_RANK=1 and LOCAL_WORLD_SIZE=1"
            ),
            (
                ["RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "h"],
                "LOCAL_RANK is set and LOCAL_WORLD_SIZE is missing"
            ),
            (
                ["RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "h"],
                "LOCAL_WORLD_SIZE is set and LOCAL_RANK is missing"
            ),
            (["RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "h", "MASTER_PORT": "0"], "MASTER_PORT=0: a number"),
        ] as [([String: String], String)])
    func whatContradictsItselfIsNamed(environment: [String: String], expected: String) {
        #expect(message(environment)?.contains(expected) == true, "\(message(environment) ?? "no error")")
    }

    private func message(_ environment: [String: String]) -> String? {
        do {
            _ = try Launch(environment: environment)
            return nil
        } catch {
            return "\(error)"
        }
    }
}
