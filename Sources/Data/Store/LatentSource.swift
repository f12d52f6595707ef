import Formats

/// Encoded pictures at random access, wherever they come from.
public protocol LatentSource: Sendable {
    /// The path of the folder.
    var location: String { get }
    /// The names, in the source's own order, with labels.
    var entries: [ImageEntry] { get }
    /// The classes, indexed by label.
    var classNames: [String] { get }
    /// F32; `mean` or `meanAndDeviation`.
    var layout: RecordLayout { get }
    /// The number that a latent is reduced and multiplied by; without numbers, the data set's own statistics decide.
    var encoding: LatentEncoding { get }
    /// Writes a record, or that of the mirror image; throws a `FileError`. Safe to call from several threads.
    func copyRecord(_ index: Int, mirrored: Bool, into record: UnsafeMutableBufferPointer<Float>) throws
}

/// Opens the latents that a folder holds in a layout of others; nil if it holds none. Throws a `FileError`.
public func openLatents(path: String) throws -> (any LatentSource)? {
    if PublishedLatents.exists(in: path) { return try PublishedLatents(path: path) }
    return LightningLatents.exists(in: path) ? try LightningLatents(path: path) : nil
}

/// Makes of a record what a diffusion network sees.
public struct PosteriorSampler: Sendable {
    private let shift: [Float]
    private let scale: [Float]

    /// For latents of one autoencoder; `encoding` has a shift and a scale for each channel.
    public init(_ encoding: LatentEncoding) {
        shift = encoding.shift.map { Float($0) }
        scale = encoding.scale.map { Float($0) }
    }

    /// x0 = (mean + deviation * noise - shift) * scale, in place: `sample` is the noise before, and [C, R, R] afterwards.
    ///
    /// Without deviations the noise has no effect.
    public func draw(
        from record: UnsafeBufferPointer<Float>, layout: RecordLayout, into sample: UnsafeMutableBufferPointer<Float>
    ) {
        precondition(record.count == layout.elementCount && sample.count == layout.elementsPerSample)
        let plane = layout.side * layout.side
        guard let mean = record.baseAddress, let target = sample.baseAddress else { return }
        for channel in 0..<layout.channels {
            let (shift, scale) = (shift[channel], scale[channel])
            let places = channel * plane..<(channel + 1) * plane
            if layout.content == .meanAndDeviation {
                let deviation = mean + layout.elementsPerSample
                for place in places { target[place] = (mean[place] + deviation[place] * target[place] - shift) * scale }
            } else {
                for place in places { target[place] = (mean[place] - shift) * scale }
            }
        }
    }
}
