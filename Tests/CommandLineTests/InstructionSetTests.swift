import TestSupport
import Testing

/// Loops and products exist for several instruction sets, of which this processor may have better ones.
@Suite struct InstructionSetTests {
    @Test(arguments: ["avx2", "default"])
    func goldenFilesPassWithFewerInstructions(capability: String) throws {
        try withTemporaryFolder { folder in
            let ended = try transcend(
                ["verify", repository.path + "/Tests/Golden"], in: folder,
                environment: ["ATEN_CPU_CAPABILITY": capability])
            #expect(ended.status == 0)
            #expect(ended.output.contains(" 0 failed"))
        }
    }
}
