// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto
import Testing
import Turns

@testable import mosq

@Suite(.turn(.arguments)) struct `A health report` {
    /// The time that the reports of these tests have.
    private let time = Date(timeIntervalSince1970: 1_790_000_000)

    private func json(_ changes: [String: String?] = [:]) -> [UInt8] {
        var members: [String: String] = [
            "time": "\"\(time.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)))\"",
            "uptime": "1000.5", "state": "\"connected\"", "stateDuration": "12.3", "hasConnected": "true",
            "consecutiveFailures": "0", "queuedMessages": "0", "queuedBytes": "0", "queueFill": "0.0",
        ]
        for (name, value) in changes { members[name] = value }
        return Array("{\(members.map { "\"\($0)\":\($1)" }.joined(separator: ","))}".utf8)
    }

    private func report(_ changes: [String: String?] = [:]) throws -> HealthReport {
        try #require(HealthReport(json: json(changes)))
    }

    @Test func `of a client is one object without members that have no value`() throws {
        let client = MQTTClient(MQTTClientConfiguration(host: "broker"))
        let written = HealthReport(client.health, uptime: 7.25)
        let object = try #require(JSON(written.json))
        #expect(object["state"] == "idle")
        #expect(object["uptime"] == 7.25)
        #expect(object["hasConnected"] == false)
        #expect(object["consecutiveFailures"] == 0)
        #expect(
            object.keys == [
                "time", "uptime", "state", "stateDuration", "hasConnected", "consecutiveFailures", "queuedMessages",
                "queuedBytes", "queueFill",
            ])
        let read = try #require(HealthReport(json: Array(written.json.utf8)))
        #expect(read.obstacle(to: .connected, age: 0) == .notStarted)
    }

    @Test(arguments: ["", "no", "[]", "{}", "{\"state\":\"connected\"}"])
    func `is not what another file has`(text: String) {
        #expect(HealthReport(json: Array(text.utf8)) == nil)
    }

    @Test func `has the age by the clock that says more`() throws {
        let report = try report()
        #expect(report.age(now: time + 3, uptime: 1_003.5) == 3)
        // The wall clock was set back, and the writer hangs.
        #expect(report.age(now: time - 3_600, uptime: 1_050.5) == 50)
        // The machine has started again, and runs for longer than before.
        #expect(report.age(now: time + 9_000, uptime: 1_001.5) == 9_000)
        // It runs for less long.
        #expect(report.age(now: time + 9_000, uptime: 20) == nil)
        #expect(try self.report(["time": "\"yesterday\""]).age(now: time, uptime: 1_001) == nil)
    }

    @Test func `grows old with its file`() throws {
        let policy = MQTTReadinessPolicy(maximumOutage: .seconds(10), requiresValidToken: true)
        let away = try report(["state": "\"waiting\"", "outage": "8"])
        #expect(away.obstacle(to: policy, age: 2) == nil)
        #expect(away.obstacle(to: policy, age: 3) == .outage(.seconds(11)))
        let token = try report(["tokenExpiresIn": "2"])
        #expect(token.obstacle(to: policy, age: 1) == nil)
        #expect(token.obstacle(to: policy, age: 3) == .tokenExpired(.seconds(1)))
        #expect(try report(["state": "\"stopped\""]).obstacle(to: .accepting, age: 0) == .stopped)
        #expect(
            try report(["hasConnected": "false", "outage": "1"]).obstacle(to: policy, age: 1)
                == .neverConnected(.seconds(2)))
    }

    @Test func `may have any number`() throws {
        let report = try report(["outage": "1e300", "tokenExpiresIn": "-1e300", "stateDuration": "1e300"])
        #expect(report.obstacle(to: .connected, age: 1) != nil)
        #expect(!report.json.isEmpty)
    }
}
