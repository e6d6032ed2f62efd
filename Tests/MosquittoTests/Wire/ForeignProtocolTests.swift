// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A server that speaks another protocol` {
    @Test(arguments: [
        ("HTTP/1.1 400 Bad Request\r\n", ForeignProtocol.http), ("<!DOCTYPE html>", .http),
        ("SSH-2.0-OpenSSH_9.2p1\r\n", .ssh), ("220 mail.example ESMTP\r\n", .mail), ("220-FTP\r\n", .mail),
        ("+OK ready\r\n", .pop), ("* OK IMAP4rev1\r\n", .imap), ("-ERR unknown command\r\n", .redis),
        ("AMQP\u{0}\u{0}\u{9}\u{1}", .amqp), ("INFO {\"server_id\":\"N\"}", .nats), ("RFB 003.008\n", .vnc),
    ])
    func `is known by its first bytes (case 12)`(greeting: String, name: ForeignProtocol) {
        #expect(ForeignProtocol(Array(greeting.utf8)) == name)
    }

    @Test(arguments: [[0x20, 2, 0, 0], [], [0x48], [0x16, 3, 1], Array("HTT".utf8)] as [[UInt8]])
    func `is not known by others`(bytes: [UInt8]) {
        #expect(ForeignProtocol(bytes) == nil)
    }
}
