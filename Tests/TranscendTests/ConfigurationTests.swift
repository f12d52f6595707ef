import Diffusion
import Formats
import Foundation
import Testing
import Transcend

@Suite struct ConfigurationTests {
    @Test(arguments: Preset.all.map(\.name))
    func everyPresetGivesAPipeline(name: String) throws {
        let stages = try ConfigurationBuilder(preset: .named(name)).pipeline(stages: Pipeline.stages)
        #expect(stages.map(\.method.name) == ["align", "selfguided"])
    }

    @Test func imageNetPresetsFollowThePublishedTable() throws {
        let published: [(size: String, student: Int, teacher: Int, steps: Int)] = [
            ("s", 6, 8, 400_000), ("b", 6, 8, 400_000), ("l", 8, 16, 400_000), ("xl", 8, 16, 2_000_000),
        ]
        for row in published {
            let stages = try ConfigurationBuilder(preset: .named("imagenet256-\(row.size)"))
                .pipeline(stages: Pipeline.stages)
            let align = try #require(stages[0].method.method as? AlignLatent)
            let guided = try #require(stages[1].method.method as? SelfGuided)
            #expect(align.alignment.studentDepth == 2 && align.target == .latent && align.alignment.headWidth == 2048)
            #expect(guided.alignment.studentDepth == row.student && guided.teacherDepth == row.teacher)
            #expect(
                guided.guidanceScale == 30 && guided.alignment.weight == 0.5
                    && guided.alignment.window == TimeWindow(0.4, 0.7))
            #expect(stages[0].steps == 200_000 && stages[1].steps == row.steps)
            #expect(stages[1].batch == 256 && stages[1].schedule.learningRate == 1e-4)
            #expect(stages[1].optimizer.emaDecay == 0.9999 && stages[1].network.qkNorm)
        }
    }

    @Test func theReadingDecidesTargetAndWindow() throws {
        for (reading, target, semantics) in [
            (Reading.paper, AlignLatent.Target.latent, TimeWindow.Semantics.perSample),
            (.published, .velocity, .batchMean),
        ] {
            let c = try ConfigurationBuilder(reading: reading).configuration(stage: "align")
            let method = try #require(c.method.method as? AlignLatent)
            #expect(method.target == target && method.alignment.semantics == semantics)
        }
    }

    @Test func laterSettingsWin() throws {
        let builder = ConfigurationBuilder(
            preset: try .named("demo"), settings: [Setting("batch", 48), Setting("steps", 10)],
            stageSettings: ["selfguided": [Setting("steps", 20)]])
        let stages = try builder.pipeline(stages: Pipeline.stages)
        #expect(stages.map(\.batch) == [48, 48])
        #expect(stages.map(\.steps) == [10, 20])
    }

    @Test func aSettingOfOneMethodReachesThatStageAlone() throws {
        let builder = ConfigurationBuilder(settings: [
            Setting("method.guidanceScale", 7), Setting("method.target", "velocity"),
        ])
        let stages = try builder.pipeline(stages: Pipeline.stages)
        #expect((stages[0].method.method as? AlignLatent)?.target == .velocity)
        #expect((stages[1].method.method as? SelfGuided)?.guidanceScale == 7)
    }

    /// Settings that cannot be, and what is said about them.
    @Test(arguments: [
        ("stps", "8", "stps: there is no such setting; did you mean steps?"),
        ("steps", "\"many\"", "steps: give a whole number, 1 to 4294967295, not \"many\""),
        ("steps", "0", "steps: give a whole number, 1 to 4294967295, not 0"),
        ("batch", "30", "the batch 30 is not divisible into 4 micro-batches; choose a divisor"),
        ("network.heads", "5", "5 heads do not divide the hidden size 384; choose a divisor"),
        ("network.patchSize", "3", "patches of 3 do not divide inputs of 32; choose a divisor"),
        (
            "method.teacherDepth", "13",
            "teacher depth 13 is no block of a network of 12; choose 1 to 12"
        ),
        (
            "method.alignment.window", "[0.7, 0.4]",
            "method.alignment.window: give two numbers [low, high], 0 <= low <= high <= 1, not [0.7, 0.4]"
        ),
        ("device", "\"tpu\"", "the device tpu is unknown; choose auto, cpu, cuda or cuda:N"),
        ("precision", "\"fp8\"", "precision: give f32 or bf16, not \"fp8\""),
        ("optimizer.emaDecay", "1", "optimizer.emaDecay: give a number, 0 or more and below 1, not 1"),
    ])
    func impossibleSettingsAreOneSentence(key: String, value: String, message: String) throws {
        let settings = try [Setting("accumulation", 4), Setting(key, .init(parsing: value))]
        let error = #expect(throws: ConfigurationError.self) {
            try ConfigurationBuilder(settings: settings).configuration(stage: "selfguided")
        }
        #expect(error?.description == message)
    }

    @Test func schedulesAreArithmetic() {
        var schedule = ScheduleConfiguration()
        schedule.learningRate = 2
        #expect(schedule.learningRate(at: 99, of: 100) == 2)
        schedule.warmupSteps = 4
        #expect((0..<5).map { schedule.learningRate(at: $0, of: 100) } == [0.5, 1, 1.5, 2, 2])
        schedule.decay = .cosine
        // Half a cosine from step 4 to step 104: in its middle half the rate, at its end nothing.
        #expect(abs(schedule.learningRate(at: 54, of: 104) - 1) < 1e-12)
        #expect(abs(schedule.learningRate(at: 104, of: 104)) < 1e-12)
    }
}
