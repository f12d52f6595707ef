import CTorch

/// Addressed random numbers: every draw is a function of (seed, purpose, step, item), nothing is consumed.
///
/// The generator is Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), keyed by the
/// seed and counted by (element / 4, item, step, purpose). Therefore a run that continues, or one that splits its batch
/// otherwise, sees the same numbers.
public struct Draws: Sendable, Equatable {
    /// The version of the addresses and distributions below, kept with every run.
    public static let formatVersion = 1

    /// What a draw is for; the last word of the counter.
    public enum Purpose: UInt32, Sendable, CaseIterable {
        /// Training draws: item = position in the global batch, step = training step.
        case time = 0
        case noise = 1
        case labelDrop = 2
        /// Of an image: item = its index, step = epoch.
        case posterior = 3
        case flip = 4
        /// The order of an epoch: item = index of the image, step = epoch.
        case order = 5
        /// Sampling: item = index of the sample, step = solver step (0 for the first noise and the label).
        case sampleNoise = 6
        case sampleIncrement = 7
        case sampleLabel = 8
        /// Initialisation: item = hash of "<stage>/<parameter name>", step 0.
        case initialise = 9
        /// The embedded data set: item = index of the picture, step 0. Where an extractor is fitted, item -1: how the pictures of
        /// a step are moved.
        case pictures = 10
        /// What a method draws for a sample: item = position in the global batch, step = training step.
        case method = 11
    }

    /// The key of the generator.
    public let seed: UInt64

    /// All draws of a run share one seed; other seeds give unrelated numbers.
    public init(seed: UInt64) {
        self.seed = seed
    }

    /// Raw 32-bit words of one address.
    public func words(_ purpose: Purpose, step: Int, item: Int, count: Int) -> [UInt32] {
        [UInt32](unsafeUninitializedCapacity: count) { buffer, initialized in
            withWords(of: counter(purpose, step, item)) { ct_random_words(seed, $0, buffer.baseAddress, Int64(count)) }
            initialized = count
        }
    }

    /// Uniform numbers in [0, 1), exact in float32: (word >> 8) / 2^24.
    public func uniforms(_ purpose: Purpose, step: Int, item: Int, count: Int) -> [Float] {
        words(purpose, step: step, item: item, count: count).map { Float($0 >> 8) * 0x1p-24 }
    }

    /// Standard normal numbers.
    public func normals(_ purpose: Purpose, step: Int, item: Int, count: Int) -> [Float] {
        [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            fillNormals(purpose, step: step, item: item, into: buffer)
            initialized = count
        }
    }

    /// Standard normal numbers by Box-Muller on the word pairs (0, 1) and (2, 3), in float64 and rounded once.
    public func fillNormals(_ purpose: Purpose, step: Int, item: Int, into buffer: UnsafeMutableBufferPointer<Float>) {
        withWords(of: counter(purpose, step, item)) {
            ct_random_normals(seed, $0, buffer.baseAddress, Int64(buffer.count))
        }
    }

    /// The order of `items` items in an epoch: sorted by a 64-bit number drawn for each, ties by item.
    public func order(epoch: Int, items: Int) -> [Int32] {
        let keys = (0..<items).map { item in
            let words = Philox.block(seed, counter(.order, epoch, item))
            return UInt64(words[0]) | UInt64(words[1]) << 32
        }
        return (0..<Int32(items)).sorted { a, b in
            (keys[Int(a)], a) < (keys[Int(b)], b)
        }
    }

    /// The item of an initialisation draw: the 32-bit FNV-1a hash of "<stage>/<parameter name>".
    public static func item(stage: String, parameter: String) -> Int { Int(fnv1a("\(stage)/\(parameter)")) }

    /// The 32-bit FNV-1a hash of the UTF-8 bytes.
    public static func fnv1a(_ text: String) -> UInt32 {
        text.utf8.reduce(2_166_136_261) { ($0 ^ UInt32($1)) &* 16_777_619 }
    }

    /// Of the first block.
    private func counter(_ purpose: Purpose, _ step: Int, _ item: Int) -> SIMD4<UInt32> {
        SIMD4(0, UInt32(truncatingIfNeeded: item), UInt32(truncatingIfNeeded: step), purpose.rawValue)
    }
}

/// Philox 4x32 with 10 rounds, as published with its test vectors in Random123.
package enum Philox {
    /// One block of four words.
    package static func block(_ key: UInt64, _ counter: SIMD4<UInt32>) -> SIMD4<UInt32> {
        var words = SIMD4<UInt32>()
        withWords(of: counter) { counter in
            withUnsafeMutableBytes(of: &words) {
                ct_random_words(key, counter, $0.bindMemory(to: UInt32.self).baseAddress, 4)
            }
        }
        return words
    }
}

private func withWords(of counter: SIMD4<UInt32>, _ body: (UnsafePointer<UInt32>) -> Void) {
    withUnsafeBytes(of: counter) { body($0.assumingMemoryBound(to: UInt32.self).baseAddress!) }
}
