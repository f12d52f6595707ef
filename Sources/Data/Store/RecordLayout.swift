import Formats
import Torch

/// What a store holds of each picture: a block of numbers of fixed size.
public struct RecordLayout: Codable, Equatable, Sendable {
    /// What the numbers are.
    public enum Content: String, Codable, Sendable {
        /// Bytes of red, green and blue: [3, R, R].
        case pixels
        /// A latent without uncertainty: [C, R, R].
        case mean
        /// The normal distribution of a latent: its mean, then its standard deviation, [2 C, R, R].
        case meanAndDeviation
    }

    /// What the record's numbers are, which decides the first side of its shape.
    public var content: Content
    /// U8 for pixels, F16 or F32 for latents.
    public var type: ElementType
    /// The channels C of a picture or latent.
    public var channels: Int
    /// The side R of a picture or latent.
    public var side: Int
    /// Whether there is a second record of each picture, of its mirror image.
    public var hasMirrored: Bool

    /// A record of C channels and side R.
    public init(content: Content, type: ElementType, channels: Int, side: Int, hasMirrored: Bool = false) {
        self.content = content
        self.type = type
        self.channels = channels
        self.side = side
        self.hasMirrored = hasMirrored
    }

    /// The shape of one record.
    public var shape: [Int] { [content == .meanAndDeviation ? 2 * channels : channels, side, side] }
    /// The numbers of one picture or latent: C * R * R.
    public var elementsPerSample: Int { channels * side * side }
    /// The numbers of one record.
    public var elementCount: Int { shape.reduce(1, *) }
    /// The bytes of one record.
    public var byteCount: Int { elementCount * type.byteCount }

    /// Whether the numbers make sense together, for layouts that come from a file.
    var isPossible: Bool {
        let types: [ElementType] = content == .pixels ? [.U8] : [.F16, .F32]
        return types.contains(type) && (1...1 << 12).contains(channels) && (1...1 << 14).contains(side)
            && (content != .pixels || channels == 3 && !hasMirrored)
    }
}

/// Where latents come from, and how they become what a diffusion network sees: x0 = (z - shift) * scale.
public struct LatentEncoding: Codable, Equatable, Sendable {
    /// The autoencoder's name.
    public var autoencoder: String
    /// A checksum of the weights that make its latents; nil where they are not known.
    public var weights: String?
    /// Of the products in it; nil where others have made the latents.
    public var precision: Precision?
    /// By channel. Empty until a store is complete if its own statistics are to decide.
    public var shift: [Double]
    /// By channel.
    public var scale: [Double]

    /// An autoencoder by name, with a number for each channel or none.
    public init(
        autoencoder: String, weights: String? = nil, precision: Precision? = nil, shift: [Double], scale: [Double]
    ) {
        self.autoencoder = autoencoder
        self.weights = weights
        self.precision = precision
        self.shift = shift
        self.scale = scale
    }

    /// What tells its latents from those of other autoencoders: the name, with the weights' checksum where it is known.
    public var identity: String { weights.map { "\(autoencoder) (weights \($0))" } ?? autoencoder }
}

/// Sums over the numbers of each channel, from which mean and deviation follow.
public struct ChannelSums: Codable, Equatable, Sendable {
    /// The numbers of one channel that were added.
    public private(set) var count = 0
    private var sums: [Double]
    private var squares: [Double]

    /// Nothing added yet.
    public init(channels: Int) {
        sums = [Double](repeating: 0, count: channels)
        squares = sums
    }

    /// Whether they can be sums over records of a layout, for those that come from a file.
    func areOf(_ layout: RecordLayout) -> Bool {
        sums.count == layout.channels && squares.count == layout.channels && (0...1 << 50).contains(count)
    }

    /// Adds a record of means and maybe deviations; the squares are those that are to be expected of drawn latents.
    mutating func add(_ record: UnsafeBufferPointer<Float>, layout: RecordLayout) {
        let plane = layout.side * layout.side
        for channel in 0..<layout.channels {
            var (sum, square) = (0.0, 0.0)
            for place in channel * plane..<(channel + 1) * plane {
                let mean = Double(record[place])
                sum += mean
                square += mean * mean
                if layout.content == .meanAndDeviation {
                    let deviation = Double(record[layout.elementsPerSample + place])
                    square += deviation * deviation
                }
            }
            sums[channel] += sum
            squares[channel] += square
        }
        count += plane
    }

    mutating func add(_ other: ChannelSums) {
        count += other.count
        for channel in sums.indices {
            sums[channel] += other.sums[channel]
            squares[channel] += other.squares[channel]
        }
    }

    /// The statistics of what was added.
    public var statistics: ChannelStatistics {
        let means = sums.map { $0 / Double(max(1, count)) }
        let deviations = zip(squares, means).map { max(0, $0 / Double(max(1, count)) - $1 * $1).squareRoot() }
        return ChannelStatistics(mean: means, deviation: deviations)
    }
}

/// Mean and standard deviation of each channel over a data set: of latents as they are drawn, before `LatentEncoding`'s
/// shift and scale, or of pixels in [-1, 1].
public struct ChannelStatistics: Codable, Equatable, Sendable {
    /// By channel.
    public var mean: [Double]
    /// By channel, 0 or more.
    public var deviation: [Double]
}
