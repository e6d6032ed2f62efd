// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import MetricsTestKit
import Testing
import Turns

@testable import Mosquitto

@Suite("The metrics of one client are cheap per message, and add up over clients", .turn(.units))
struct ClientMetricsTests {
    private let system = TestMetrics()
    private let timers = ManualTimers()

    /// Timers that a test fires by hand, on a single thread.
    private final class ManualTimers {
        private(set) var delays: [Duration] = []
        private var actions: [() -> Void] = []

        func set(_ delay: Duration, _ action: @escaping () -> Void) {
            delays.append(delay)
            actions.append(action)
        }

        func fire() {
            let due = actions
            actions = []
            for action in due { action() }
        }
    }

    private func makeMetrics(_ dimensions: [(String, String)] = []) throws -> ClientMetrics {
        let configuration = MQTTMetricsConfiguration(factory: system, dimensions: dimensions)
        return try #require(ClientMetrics(configuration) { timers.set($0, $1) })
    }

    private let message = MQTTMessage(topic: "t", payload: [1], qos: .atLeastOnce)

    @Test func `a thousand messages of an interval are one report`() throws {
        let metrics = try makeMetrics()
        for _ in 0..<1_000 {
            metrics.published(.atLeastOnce, startedAt: nil)
            metrics.received([IncomingMessage(message: message), IncomingMessage(message: message)])
        }
        var traffic = Traffic(sent: 700, received: 900)
        metrics.moved(&traffic)
        #expect(traffic == Traffic())
        #expect(timers.delays == [.seconds(1)])
        #expect(system.counterTotal(label: "mqtt_client_published_total") == 0)

        timers.fire()
        let counters = [
            "mqtt_client_published_total": 1_000, "mqtt_client_received_total": 2_000,
            "mqtt_client_sent_bytes_total": 700, "mqtt_client_received_bytes_total": 900,
        ]
        for (label, total) in counters {
            #expect(system.counters(label: label).flatMap(\.values) == [Int64(total)], "\(label)")
        }
        timers.fire()
        #expect(timers.delays.count == 1, "an idle client reports nothing")
    }

    @Test func `what was published counts by its QoS, and its time is measured once`() throws {
        let metrics = try makeMetrics()
        metrics.published(.exactlyOnce, startedAt: .now)
        metrics.published(.atMostOnce, startedAt: nil)
        timers.fire()
        let label = "mqtt_client_published_total"
        #expect(system.counterTotal(label: label, dimensions: [("qos", "2")]) == 1)
        #expect(system.counterTotal(label: label, dimensions: [("qos", "1")]) == 0)
        #expect(system.counterTotal(label: label, dimensions: [("qos", "0")]) == 1)
        let durations = try system.expectTimer("mqtt_client_publish_duration_seconds")
        #expect(durations.values.count == 1 && durations.values[0] >= 0)
        #expect(durations.displayUnit == .seconds)
    }

    @Test func `levels of clients with the same dimensions add up, and those of a stopped one are gone`() throws {
        let one = try makeMetrics()
        let other = try makeMetrics()
        one.entered(.connecting(attempt: 1))
        other.entered(.connecting(attempt: 1))
        other.level(inFlight: 3, queued: 10)
        one.entered(.disconnecting)
        one.level(inFlight: 2, queued: 0)
        timers.fire()
        #expect(level("in_flight") == 5)
        #expect(level("queued_messages") == 10)
        #expect(clients(in: "connecting") == 1)
        #expect(clients(in: "disconnecting") == 1)

        other.happened(.stopped(nil))
        other.level(inFlight: 0, queued: 0)
        other.entered(.stopped(nil))
        #expect(level("in_flight") == 2, "a stopped client reports at once")
        #expect(level("queued_messages") == 0)
        #expect(clients(in: "connecting") == 0)
    }

    @Test func `a client that is gone without having stopped leaves nothing behind`() throws {
        do {
            let metrics = try makeMetrics()
            metrics.entered(.connecting(attempt: 1))
            metrics.level(inFlight: 2, queued: 3)
            timers.fire()
            #expect(level("in_flight") == 2)
        }
        #expect(level("in_flight") == 0)
        #expect(level("queued_messages") == 0)
        #expect(clients(in: "connecting") == 0)
    }

    @Test func `failures count by code, and those of connecting by phase too`() throws {
        let metrics = try makeMetrics([("client_id", "one")])
        let endpoint = MQTTEndpoint(host: "h", port: 1)
        for phase in [MQTTError.Phase.connect, .connect, .resolve] {
            metrics.happened(.attemptStarted(.init(attempt: 1, isInitial: true, endpoint: endpoint)))
            metrics.happened(
                .attemptFailed(
                    .init(
                        attempt: 1, endpoint: endpoint, error: MQTTError(.timeout, "", phase: phase), decision: .stop)))
        }
        metrics.happened(
            .disconnected(.init(endpoint: endpoint, error: MQTTError(.keepAliveTimeout, ""), decision: .stop)))
        metrics.failed(MQTTError(.operationRefused, ""))
        let own = ("client_id", "one")
        func total(_ label: String, _ dimensions: (String, String)...) -> Int64 {
            system.counterTotal(label: "mqtt_client_" + label, dimensions: [own] + dimensions)
        }
        #expect(total("connect_attempts_total") == 3)
        #expect(total("connect_failures_total", ("code", "timeout"), ("phase", "connect")) == 2)
        #expect(total("connect_failures_total", ("code", "timeout"), ("phase", "resolve")) == 1)
        #expect(total("disconnections_total", ("code", "keepAliveTimeout")) == 1)
        #expect(total("publish_failures_total", ("code", "operationRefused")) == 1)
    }

    @Test func `a token has an age, which goes on while nothing happens`() throws {
        let metrics = try makeMetrics()
        metrics.happened(.credentialsRefreshed(.init(expiresIn: nil, source: "file")))
        let age = try system.expectMeter("mqtt_client_token_age_seconds")
        timers.fire()
        timers.fire()
        #expect(age.values.count == 3)
        #expect(age.values == age.values.sorted() && age.values[0] >= 0)
        #expect(timers.delays == [.seconds(15), .seconds(15), .seconds(15)])
        metrics.happened(.stopped(nil))
        timers.fire()
        #expect(timers.delays.count == 3, "a stopped client is not woken again")
    }

    @Test func `rotations count, with their gaps`() throws {
        let metrics = try makeMetrics()
        metrics.happened(.credentialsRotated(.init(gap: .milliseconds(7))))
        #expect(system.counterTotal(label: "mqtt_client_credential_rotations_total") == 1)
        #expect(try system.expectTimer("mqtt_client_rotation_gap_seconds").values == [7_000_000])
    }

    @Test func `messages that made room in the queue count, each as a failure too (newcomer D5)`() throws {
        let metrics = try makeMetrics()
        metrics.happened(.messagesDropped(.init(count: 7)))
        metrics.failed(MQTTError(.queueFull, ""), 7)
        #expect(system.counterTotal(label: "mqtt_client_queue_dropped_total") == 7)
        #expect(
            system.counterTotal(label: "mqtt_client_publish_failures_total", dimensions: [("code", "queueFull")]) == 7)
    }

    @Test func `without a metrics system, or switched off, there is nothing`() {
        #expect(ClientMetrics(MQTTMetricsConfiguration(factory: NOOPMetricsHandler.instance)) { _, _ in } == nil)
        var configuration = MQTTClientConfiguration(host: "localhost", tls: nil)
        configuration.metrics = nil
        withMetricsFactory(system) {
            #expect(MQTTClient(configuration).session.metrics == nil)
            configuration.metrics = MQTTMetricsConfiguration()
            #expect(MQTTClient(configuration).session.metrics != nil)
        }
        configuration.metrics?.interval = .zero
        let error = #expect(throws: MQTTError.self) { try configuration.validate() }
        #expect(error?.code == .invalidConfiguration)
    }

    private func level(_ name: String) -> Double? { system.meters(label: "mqtt_client_" + name).first?.lastValue }

    private func clients(in state: String) -> Double? {
        system.meters(label: "mqtt_client_connection_state", dimensions: [("state", state)]).first?.lastValue
    }
}
