// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A secret of bytes` {
    @Test func `is what it was made of, from any collection, with a NUL after it`() {
        let bytes: [UInt8] = [0, 1, 0xFF, 0xC3, 0x28, 0]
        for secret in [
            MQTTSecret(bytes: bytes), MQTTSecret(bytes: ([9] + bytes + [9])[1...bytes.count]),
            MQTTSecret(bytes: bytes.lazy.map { $0 }), MQTTSecret(bytes: AnyCollection(bytes)),
        ] {
            #expect(secret.count == bytes.count)
            #expect(secret.withBytes { Array($0) } == bytes)
            #expect(secret.withBytes { $0.baseAddress?.load(fromByteOffset: bytes.count, as: UInt8.self) } == 0)
        }
    }

    @Test func `is equal to one of the same bytes, text or not`() {
        let secret = MQTTSecret(bytes: Array("hällo".utf8))
        #expect(secret == "hällo")
        #expect(secret.hashValue == MQTTSecret("hällo").hashValue)
        #expect(secret.text == "hällo")
        #expect(secret != MQTTSecret(bytes: Array("hällo".utf8) + [0]))
        #expect(MQTTSecret(bytes: [0xFF]) != MQTTSecret(bytes: [0xFE]))
        #expect(MQTTSecret(bytes: [0xFF]).text == "\u{FFFD}")
    }

    @Test func `may be empty`() {
        let secret = MQTTSecret(bytes: [])
        #expect(secret == "")
        #expect(secret.count == 0)
        #expect(secret.withBytes { $0.baseAddress != nil && $0.isEmpty })
    }

    @Test func `does not show`() {
        let secret = MQTTSecret(bytes: [222, 173, 190, 239])
        var text = "\(secret) \(String(reflecting: secret))"
        dump(secret, to: &text)
        dump([secret], to: &text)
        #expect(!text.contains("222"))
    }
}
