import CTorch

/// Addressed random numbers: every draw is a function of (seed, purpose, step, item), and nothing is consumed.
///
/// The generator is Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), keyed by the
/// seed, with (element / 4, item, step, purpose) as the counter. Thus a continued run, or one that splits its batch
/// differently, sees the same numbers.
public struct Draws: Sendable, Equatable {
    /// The version of the addresses and distributions below, stored with every run.
    public static let formatVersion = 1

    /// The purpose of a draw; the last word of the counter.
    public enum Purpose: UInt32, Sendable, CaseIterable {
        /// The times of training samples: item = position in the global batch, step = training step.
        case time = 0
        /// The noise of training samples, addressed like `time`.
        case noise = 1
        /// Whether a training label is dropped, addressed like `time`.
        case labelDrop = 2
        /// The sampling of an image's latent: item = its index, step = epoch.
        case posterior = 3
        /// Whether an image is mirrored, addressed like `posterior`.
        case flip = 4
        /// The order of an epoch: item = index of the image, step = epoch.
        case order = 5
        /// The noise of a sample: item = index of the sample, step = solver step (0 for the initial noise and the
        /// label).
        case sampleNoise = 6
        /// The noise of the SDE's steps, addressed like `sampleNoise`.
        case sampleIncrement = 7
        /// The random label of a sample, addressed like `sampleNoise`.
        case sampleLabel = 8
        /// The initialisation of a parameter: item = hash of "<stage>/<parameter name>", step 0.
        case initialise = 9
        /// The embedded data set: item = index of the picture, step 0. When fitting an extractor, item -1 gives the
        /// shifts of a step's pictures.
        case pictures = 10
        /// A method's draw for a sample: item = position in the global batch, step = training step.
        case method = 11
    }

    /// The seed, which is the key of the generator.
    public let seed: UInt64

    /// Creates the draws of a run, which share one seed; other seeds give unrelated numbers.
    public init(seed: UInt64) {
        self.seed = seed
    }

    /// The raw 32-bit words of one address.
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

    /// Standard normal numbers, as `fillNormals` writes them.
    public func normals(_ purpose: Purpose, step: Int, item: Int, count: Int) -> [Float] {
        [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            fillNormals(purpose, step: step, item: item, into: buffer)
            initialized = count
        }
    }

    /// Writes standard normal numbers by Box-Muller on the word pairs (0, 1) and (2, 3), in float64 and rounded once.
    public func fillNormals(_ purpose: Purpose, step: Int, item: Int, into buffer: UnsafeMutableBufferPointer<Float>) {
        withWords(of: counter(purpose, step, item)) {
            ct_random_normals(seed, $0, buffer.baseAddress, Int64(buffer.count))
        }
    }

    /// The order of `items` items in an epoch: sorted by a 64-bit number drawn for each, with ties resolved by item.
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

    /// The counter of the first block.
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
