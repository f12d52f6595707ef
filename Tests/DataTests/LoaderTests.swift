import Data
import Testing
import Torch

@Suite struct LoaderTests {
    private let draws = Draws(seed: 5)

    private func batches(
        _ steps: Range<Int>, of settings: LoaderSettings, count: Int = 10
    ) throws -> [LoadedBatch<Int>] {
        var settings = settings
        settings.firstStep = steps.lowerBound
        let loader = Loader(dataset: NumberedDataset(count: count), draws: draws, settings: settings) { $0 * 100 }
        return try steps.map { _ in try loader.next() }
    }

    @Test func samplesFollowTheOrderOfEachEpochWithoutGap() throws {
        let labels = try batches(0..<10, of: LoaderSettings(batchSize: 4)).flatMap(\.labels)
        let order = (0..<4).flatMap { draws.order(epoch: $0, items: 10).map(Int.init) }
        #expect(labels == order)
        #expect(Set(labels[10..<20]) == Set(0..<10))
    }

    @Test func aBatchMayHoldSeveralEpochs() throws {
        let labels = try batches(0..<2, of: LoaderSettings(batchSize: 7), count: 3).flatMap(\.labels)
        #expect(labels == Array((0..<5).flatMap { draws.order(epoch: $0, items: 3).map(Int.init) }[..<14]))
    }

    @Test func picturesAndDrawsBelongToTheirStep() throws {
        for (step, batch) in zip(3..., try batches(3..<6, of: LoaderSettings(batchSize: 4))) {
            #expect(batch.step == step)
            #expect(batch.draws == step * 100)
            #expect(batch.images == batch.labels.flatMap { [-1, Float($0), -1, Float($0)] })
        }
    }

    @Test func aFlipBelongsToPictureAndEpoch() throws {
        var settings = LoaderSettings(batchSize: 5)
        settings.flips = true
        var flipped = 0
        for batch in try batches(0..<40, of: settings) {
            for (place, index) in batch.labels.enumerated() {
                let isFlipped = draws.uniforms(.flip, step: batch.step / 2, item: index, count: 1)[0] < 0.5
                #expect((batch.images[4 * place] == Float(index)) == isFlipped)
                flipped += isFlipped ? 1 : 0
            }
        }
        // Half of 200; the standard deviation is 7.
        #expect((70...130).contains(flipped))
    }

    @Test func featuresBelongToTheirPicturesAndEndAtAStep() throws {
        var settings = LoaderSettings(batchSize: 5)
        (settings.flips, settings.features, settings.featuresStop) = (true, [1, 0], 30)
        settings.positions = 1..<4
        for batch in try batches(0..<40, of: settings) {
            guard batch.step < 30 else {
                #expect(batch.features.isEmpty)
                continue
            }
            for (features, (encoder, tokens)) in zip(batch.features, [(1, 3), (0, 1)]) {
                let expected = batch.labels.enumerated().flatMap { place, index -> [Float] in
                    let more: Float = batch.images[4 * place] == Float(index) ? 100 : 0
                    return (0..<tokens).flatMap { _ in [Float(index) + more, Float(encoder) + more] }
                }
                #expect(features == expected)
            }
        }
    }

    @Test func startThreadsAndSplitChangeNothing() throws {
        var settings = LoaderSettings(batchSize: 8)
        settings.flips = true
        let whole = try batches(0..<30, of: settings)
        for (threads, ahead) in [(1, 1), (4, 3), (3, 8)] {
            settings.threads = threads
            settings.ahead = ahead
            for (batch, same) in zip(try batches(12..<30, of: settings), whole[12...]) {
                #expect(batch.step == same.step && batch.labels == same.labels && batch.images == same.images)
            }
        }
        settings.positions = 2..<5
        for (batch, same) in zip(try batches(0..<30, of: settings), whole) {
            #expect(batch.labels == Array(same.labels[2..<5]) && batch.images == Array(same.images[8..<20]))
        }
    }

    @Test func noMoreBatchesAreMadeThanWereAskedFor() throws {
        let made = Counter()
        var settings = LoaderSettings(batchSize: 2)
        settings.threads = 2
        let loader = Loader(dataset: NumberedDataset(count: 10), draws: draws, settings: settings) { _ in
            made.increment()
        }
        for _ in 0..<5 { _ = try loader.next() }
        loader.stop()
        #expect((5...5 + settings.ahead).contains(made.value))
        #expect(throws: LoaderStopped()) { try loader.next() }
    }

    @Test func anErrorComesWithItsBatchAndStopsTheLoader() throws {
        struct Failure: Error, Equatable { var step: Int }
        var settings = LoaderSettings(batchSize: 2)
        settings.threads = 3
        let loader = Loader(dataset: NumberedDataset(count: 10), draws: draws, settings: settings) { step in
            if step >= 4 { throw Failure(step: step) }
        }
        for step in 0..<4 { #expect(try loader.next().step == step) }
        #expect(throws: Failure(step: 4)) { try loader.next() }
        #expect(throws: LoaderStopped()) { try loader.next() }
    }
}
