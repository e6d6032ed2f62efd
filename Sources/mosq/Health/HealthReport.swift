// SPDX-License-Identifier: Apache-2.0

import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The content of a health file, one JSON object: an interface for programs, whose names and fields do not change.
/// Times are in seconds.
struct HealthReport: Decodable {
    struct Failure: Decodable {
        var age: Double
        var phase: String?
        var code: String
        var message: String
    }

    /// The time of writing by the wall clock (RFC 3339), and since the start of the machine.
    private var time: String
    private var uptime: Double
    var state: String
    var stateDuration: Double
    var outage: Double?
    private var hasConnected: Bool
    var consecutiveFailures: Int
    var lastFailure: Failure?
    private var tokenExpiresIn: Double?
    var queuedMessages: Int
    private var queuedBytes: Int
    private var queueFill: Double
    private var oldestQueued: Double?

    /// - Parameter uptime: the reading of ``SystemClock/sinceBoot`` at the time of the snapshot, in seconds.
    init(_ health: MQTTClientHealth, uptime: Double) {
        time = health.time.formatted(Self.rfc3339)
        self.uptime = uptime
        state = health.state.name
        stateDuration = health.stateDuration / .seconds(1)
        outage = health.outage.map { $0 / .seconds(1) }
        hasConnected = health.hasConnected
        consecutiveFailures = health.consecutiveFailures
        lastFailure = health.lastFailure.map {
            Failure(
                age: $0.age / .seconds(1), phase: $0.error.phase?.rawValue, code: $0.error.code.name,
                message: $0.error.message)
        }
        tokenExpiresIn = health.tokenExpiresIn.map { $0 / .seconds(1) }
        queuedMessages = health.queuedMessages
        queuedBytes = health.queuedBytes
        queueFill = health.queueFill
        oldestQueued = health.oldestQueued.map { $0 / .seconds(1) }
    }

    /// Reads the content of a file. Returns `nil` for anything else.
    init?(json: [UInt8]) {
        guard let report = try? JSONDecoder().decode(HealthReport.self, from: Data(json)) else { return nil }
        self = report
    }

    private static let rfc3339 = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

    var json: String {
        var object = JSONObject()
        object.set("time", time)
        object.set("uptime", Self.duration(uptime))
        object.set("state", state)
        object.set("stateDuration", Self.duration(stateDuration))
        object.set("outage", outage.map(Self.duration))
        object.set("hasConnected", hasConnected)
        object.set("consecutiveFailures", consecutiveFailures)
        object.set("lastFailure", lastFailure.map(Self.object))
        object.set("tokenExpiresIn", tokenExpiresIn.map(Self.duration))
        object.set("queuedMessages", queuedMessages)
        object.set("queuedBytes", queuedBytes)
        object.set("queueFill", Self.duration(queueFill))
        object.set("oldestQueued", oldestQueued.map(Self.duration))
        return object.text
    }

    private static func object(_ failure: Failure) -> JSONObject {
        var object = JSONObject()
        object.set("age", duration(failure.age))
        object.set("phase", failure.phase)
        object.set("code", failure.code)
        object.set("message", failure.message)
        return object
    }

    /// A `Duration` traps on a value that is out of range; a file may have any number.
    private static func duration(_ seconds: Double) -> Duration { .seconds(min(max(seconds, -1e10), 1e10)) }

    // MARK: Age

    /// Returns the age of the file in seconds; `nil` if it is from before the last start of the machine.
    ///
    /// The wall clock shows a file that another start of the machine has left behind, the other clock one whose writer
    /// hangs while somebody sets the wall clock back.
    func age(now: Date, uptime: Double) -> Double? {
        let running = uptime - self.uptime
        guard running >= 0, let written = try? Date(time, strategy: Self.rfc3339) else { return nil }
        return max(running, now.timeIntervalSince(written))
    }

    // MARK: Readiness

    /// Returns the first requirement of the policy that the client does not meet, `age` seconds after the file was
    /// written.
    func obstacle(to policy: MQTTReadinessPolicy, age: Double) -> MQTTReadinessPolicy.Obstacle? {
        let facts = MQTTReadinessPolicy.Facts(
            phase: state == "idle" ? .idle : state == "stopped" ? .stopped : .running,
            outage: outage.map { Self.duration($0 + age) }, hasConnected: hasConnected,
            tokenExpiresIn: tokenExpiresIn.map { Self.duration($0 - age) }, queueFill: queueFill,
            oldestQueued: oldestQueued.map { Self.duration($0 + age) })
        return policy.obstacle(to: facts)
    }
}

extension MQTTConnectionState {
    /// The name of the case, as in a health file.
    fileprivate var name: String {
        switch self {
        case .idle: "idle"
        case .connecting: "connecting"
        case .waiting: "waiting"
        case .connected: "connected"
        case .disconnecting: "disconnecting"
        case .stopped: "stopped"
        }
    }
}
