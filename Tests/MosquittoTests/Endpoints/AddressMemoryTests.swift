// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The memory of addresses` {
    private let endpoint = MQTTEndpoint(host: "broker.example", port: 8_883)
    private let start = ContinuousClock.now

    private func order(_ memory: AddressMemory, _ addresses: [String], after age: Duration = .zero) -> [String] {
        memory.order(addresses, of: endpoint, now: start + age).addresses
    }

    @Test func `changes nothing while all have answered (core 12)`() {
        var memory = AddressMemory()
        #expect(order(memory, ["192.0.2.1", "192.0.2.2", "2001:db8::1"]) == ["192.0.2.1", "2001:db8::1", "192.0.2.2"])
        memory.connected(to: "192.0.2.1", of: endpoint, now: start)
        memory.answered(by: "192.0.2.1", of: endpoint)
        #expect(order(memory, ["192.0.2.1", "192.0.2.2"]) == ["192.0.2.1", "192.0.2.2"])
        #expect(order(memory, []) == [])
    }

    @Test func `puts those without an answer behind all others, whatever their family (core 12)`() {
        var memory = AddressMemory()
        memory.connected(to: "2001:db8::1", of: endpoint, now: start)
        let order = memory.order(["2001:db8::1", "192.0.2.1", "192.0.2.2"], of: endpoint, now: start)
        #expect(order == .init(addresses: ["192.0.2.1", "192.0.2.2", "2001:db8::1"], suspects: 1))
    }

    @Test func `gives each its turn where none answers (core 12)`() {
        let addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
        var memory = AddressMemory()
        var tried: [String] = []
        for attempt in 0..<6 {
            let now = start + .seconds(attempt)
            let order = memory.order(addresses, of: endpoint, now: now)
            tried.append(order.addresses[0])
            memory.connected(to: order.addresses[0], of: endpoint, now: now)
            if attempt >= 3 { #expect(order.suspects == 0, "nobody is waited for") }
        }
        #expect(tried == addresses + addresses)
    }

    @Test func `forgets an address that has answered, and with age (core 12)`() {
        let addresses = ["192.0.2.1", "192.0.2.2"]
        var memory = AddressMemory()
        memory.connected(to: "192.0.2.1", of: endpoint, now: start)
        #expect(order(memory, addresses) == addresses.reversed())
        #expect(order(memory, addresses, after: AddressMemory.lifetime - .seconds(1)) == addresses.reversed())
        #expect(order(memory, addresses, after: AddressMemory.lifetime) == addresses)
        memory.answered(by: "192.0.2.1", of: endpoint)
        #expect(order(memory, addresses) == addresses)
    }

    @Test func `keeps the endpoints apart (core 12)`() {
        var memory = AddressMemory()
        memory.connected(to: "192.0.2.1", of: MQTTEndpoint(host: "broker.example", port: 1_883), now: start)
        #expect(order(memory, ["192.0.2.1", "192.0.2.2"]) == ["192.0.2.1", "192.0.2.2"])
    }

    @Test func `does not grow for ever (core 12)`() {
        var memory = AddressMemory()
        let addresses = (0..<2 * AddressMemory.capacity).map { "192.0.2.\($0)" }
        for address in addresses { memory.connected(to: address, of: endpoint, now: start) }
        #expect(memory.order(addresses, of: endpoint, now: start).suspects == AddressMemory.capacity)
    }

    @Test(arguments: [
        (MQTTReasonCode.notAuthorized, true), (.clientIdentifierNotValid, true), (.serverMoved, true),
        (.serverUnavailable, false), (.serverBusy, false), (.serverShuttingDown, false),
    ])
    func `a refusal is an answer unless another address may do better (core 12)`(code: MQTTReasonCode, isAnswer: Bool) {
        #expect(MQTTError.refusal(.v5(code)).isAnswer == isAnswer)
        #expect(!MQTTError(.timeout, "no CONNACK").isAnswer)
    }
}
