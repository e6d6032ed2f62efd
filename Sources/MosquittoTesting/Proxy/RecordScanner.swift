// SPDX-License-Identifier: Apache-2.0

/// Follows the TLS records in a stream, changes the byte of the plan and finds where the stream is to end.
struct RecordScanner {
    private let flip: TCPProxy.Flip?
    private let end: TCPProxy.Position?
    private let keepsRecords: Bool
    private var header: [UInt8] = []
    /// The position of the next byte.
    private var next = TCPProxy.Position(record: 0)
    private var records: [TCPProxy.TLSRecord] = []
    private(set) var hasFlipped = false

    private static let headerLength = 5

    init(flip: TCPProxy.Flip?, end: TCPProxy.Position?, keepsRecords: Bool) {
        (self.flip, self.end, self.keepsRecords) = (flip, end, keepsRecords)
    }

    mutating func takeRecords() -> [TCPProxy.TLSRecord] {
        defer { records = [] }
        return records
    }

    /// Scans the next bytes of the stream. Returns whether the stream is to end; they are cut there.
    mutating func scan(_ bytes: inout [UInt8]) -> Bool {
        var position = 0
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
                if keepsRecords { records.append(TCPProxy.TLSRecord(type: header[0], length: length)) }
                header.removeAll(keepingCapacity: true)
                next = TCPProxy.Position(record: next.record + 1)
            }
        }
        return end.map { next >= $0 } ?? false
    }

    /// Length of the current record, header included; `.max` until its header has arrived.
    private var length: Int {
        header.count < Self.headerLength ? .max : Self.headerLength + Int(header[3]) << 8 + Int(header[4])
    }

    private mutating func change(_ bytes: inout [UInt8], _ position: Int, _ step: Int) {
        guard let flip, flip.position.record == next.record, (0..<step).contains(flip.position.byte - next.byte) else {
            return
        }
        bytes[position + flip.position.byte - next.byte] ^= flip.mask
        hasFlipped = true
    }
}
