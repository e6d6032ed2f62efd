import Testing

@testable import Mosquitto

@Suite struct `The AUTH packet` {
    @Test func `it is laid out as in section 3.15 of MQTT 5.0`() {
        #expect(
            AuthenticationPacket.bytes(0x19, method: "JWT", data: [1, 2]) == [
                0xF0, 13, 0x19, 11, 0x15, 0, 3, 0x4A, 0x57, 0x54, 0x16, 0, 2, 1, 2,
            ])
        #expect(AuthenticationPacket.bytes(0x18, method: "M", data: nil) == [0xF0, 6, 0x18, 4, 0x15, 0, 1, 0x4D])
    }

    @Test(arguments: [100, 127, 128, 16_000, 16_384, 65_535])
    func `its lengths are right for data of any size, as the inspector sees it`(size: Int) throws {
        let data = [UInt8](repeating: 7, count: size)
        let packet = AuthenticationPacket.bytes(0x18, method: "JWT-CR", data: data)
        var inspector = InboundInspector(version: .v5_0, maximumPacketSize: 268_435_460)
        let packets = try packet.withUnsafeBytes { try inspector.inspectAll($0) }
        #expect(packets == [])
        guard case .authentication(let seen)? = inspector.takeFindings().first else {
            Issue.record("no finding")
            return
        }
        #expect(seen == ServerAuthentication(reasonCode: 0x18, data: data))
    }

    @Test func `an empty one is a success`() throws {
        var inspector = InboundInspector(version: .v5_0, maximumPacketSize: 1_000)
        _ = try [UInt8]([0xF0, 0]).withUnsafeBytes { try inspector.inspectAll($0) }
        guard case .authentication(let seen)? = inspector.takeFindings().first else {
            Issue.record("no finding")
            return
        }
        #expect(seen == ServerAuthentication(reasonCode: 0, data: []))
    }

    @Test func `one among other packets is not for libmosquitto`() throws {
        var inspector = InboundInspector(version: .v5_0, maximumPacketSize: 1_000)
        // CONNACK, then AUTH.
        let packets = try [UInt8]([0x20, 3, 0, 0, 0, 0xF0, 2, 0, 0]).withUnsafeBytes { try inspector.inspectAll($0) }
        #expect(packets == [[0x20, 3, 0, 0, 0]])
        #expect(inspector.takeFindings().count == 1)
    }

    @Test func `a refusing CONNACK in the middle of a session is its refusal`() throws {
        var inspector = InboundInspector(version: .v5_0, maximumPacketSize: 1_000)
        _ = try [UInt8]([0x20, 3, 0, 0, 0]).withUnsafeBytes { try inspector.inspectAll($0) }
        _ = try [UInt8]([0x20, 3, 0, 0x87, 0]).withUnsafeBytes { try inspector.inspectAll($0) }
        #expect(inspector.hasEnded)
        guard case .serverDisconnect(let seen)? = inspector.takeFindings().first else {
            Issue.record("no finding")
            return
        }
        #expect(seen.reasonCode == 0x87)
    }
}
