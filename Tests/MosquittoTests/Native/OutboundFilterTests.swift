import Testing

@testable import Mosquitto

@Suite struct `What libmosquitto has written` {
    private let publish: [UInt8] = [0x30, 5, 0, 1, 0x74, 0x68, 0x69]
    private func puback(_ packetID: UInt8) -> [UInt8] { [0x40, 2, 0, packetID] }
    private func pubrec(_ packetID: UInt8) -> [UInt8] { [0x50, 2, 0, packetID] }

    private struct Line {
        var filter: OutboundFilter
        var output = ByteQueue()

        mutating func pass(_ bytes: [UInt8]) { bytes.withUnsafeBytes { filter.pass($0, to: &output) } }
        mutating func release(_ packetID: UInt16, isHandled: Bool = true) {
            filter.release(packetID, isHandled: isHandled, to: &output)
        }
        mutating func insert(_ packet: [UInt8]) { filter.insert(packet, to: &output) }
        var sent: [UInt8] { output.withPrefix { Array($0) } }
    }

    private func line(holds: Bool = true) -> Line { Line(filter: OutboundFilter(holdsAcknowledgements: holds)) }

    @Test(arguments: 1...12) func `passes as it is, however it is cut`(step: Int) {
        let long = [0x32, 0xC8, 0x01] + [UInt8](repeating: 7, count: 200)
        let packets = publish + puback(1) + long + [0xC0, 0] + pubrec(2) + publish
        var line = line(holds: false)
        for start in stride(from: 0, to: packets.count, by: step) {
            line.pass(Array(packets[start..<min(start + step, packets.count)]))
        }
        #expect(line.sent == packets)
    }

    @Test(arguments: 1...5) func `holds acknowledgements, and nothing else`(step: Int) {
        let packets = puback(1) + publish + pubrec(2) + [0x62, 2, 0, 9] + [0xC0, 0]
        var line = line()
        for start in stride(from: 0, to: packets.count, by: step) {
            line.pass(Array(packets[start..<min(start + step, packets.count)]))
        }
        #expect(line.sent == publish + [0x62, 2, 0, 9] + [0xC0, 0])
        line.release(1)
        line.release(2)
        #expect(line.sent.suffix(8) == puback(1)[...] + pubrec(2))
    }

    @Test func `sends them in the order of the messages`() {
        var line = line()
        line.pass(puback(1) + puback(2) + pubrec(3))
        line.release(3)
        line.release(2)
        #expect(line.sent.isEmpty)
        line.release(1)
        #expect(line.sent == puback(1) + puback(2) + pubrec(3))
    }

    @Test func `one that is abandoned holds nothing up`() {
        var line = line()
        line.pass(puback(1) + puback(2))
        line.release(1, isHandled: false)
        line.release(2)
        #expect(line.sent == puback(2))
    }

    @Test func `what was handled before it was acknowledged passes at once`() {
        var line = line()
        line.release(1)
        line.release(2, isHandled: false)
        line.pass(puback(1) + puback(2) + puback(3))
        #expect(line.sent == puback(1))
        // An identifier that is used again is held again.
        line.release(3)
        line.pass(puback(1))
        #expect(line.sent == puback(1) + puback(3))
    }

    @Test func `a packet of our own goes between two of its own`() {
        var line = self.line()
        line.pass(Array(publish.prefix(1)))
        line.insert([0xC0, 0])
        #expect(line.sent.isEmpty)
        line.pass(Array(publish.dropFirst()))
        #expect(line.sent == publish + [0xC0, 0])
        line.insert([0xC0, 0])
        #expect(line.sent == publish + [0xC0, 0, 0xC0, 0])
    }
}
