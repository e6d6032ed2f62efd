/// Follows the records in a stream, changes the byte of the plan and finds where the stream is to end.
struct RecordScanner {
    private let flip: (address: TamperingProxy.Address, mask: UInt8)?
    private let end: TamperingProxy.Address?
    private var header: [UInt8] = []
    /// The position of the next byte.
    private var next = TamperingProxy.Address(record: 0)
    private var records: [TLSRecord] = []
    private(set) var hasFlipped = false

    private static let headerLength = 5

    init(flip: (address: TamperingProxy.Address, mask: UInt8)?, end: TamperingProxy.Address?) {
        self.flip = flip
        self.end = end
    }

    mutating func takeRecords() -> [TLSRecord] {
        defer { records = [] }
        return records
    }

    /// Scans the bytes from `start` on. Returns whether the stream is to end; they are cut there.
    mutating func scan(_ bytes: inout [UInt8], from start: Int) -> Bool {
        var position = start
        while position < bytes.count {
            if let end, next >= end {
                bytes.removeSubrange(position...)
                return true
            }
            // A header byte by byte, then the rest of the record at once.
            let isHeader = header.count < Self.headerLength
            if isHeader { header.append(bytes[position]) }
            let step = isHeader ? 1 : min(length - next.byte, bytes.count - position)
            if let end, end.record == next.record, end.byte < next.byte + step {
                change(&bytes, position, end.byte - next.byte)
                bytes.removeSubrange((position + end.byte - next.byte)...)
                return true
            }
            change(&bytes, position, step)
            position += step
            next.byte += step
            if header.count == Self.headerLength, next.byte == length {
                records.append(TLSRecord(type: header[0], length: length))
                header.removeAll(keepingCapacity: true)
                next = TamperingProxy.Address(record: next.record + 1)
            }
        }
        return end.map { next >= $0 } ?? false
    }

    /// Length of the current record, header included; `.max` until its header has arrived.
    private var length: Int {
        header.count < Self.headerLength ? .max : Self.headerLength + Int(header[3]) << 8 + Int(header[4])
    }

    private mutating func change(_ bytes: inout [UInt8], _ position: Int, _ step: Int) {
        guard let flip, flip.address.record == next.record, (0..<step).contains(flip.address.byte - next.byte) else {
            return
        }
        bytes[position + flip.address.byte - next.byte] ^= flip.mask
        hasFlipped = true
    }
}
