// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite(.turn(.units)) struct `A printed event` {
    private let endpoint = MQTTEndpoint(host: "broker", port: 8_883)

    private func text(_ kind: MQTTConnectionEvent.Kind) -> String {
        "\(MQTTConnectionEvent(time: Date(timeIntervalSince1970: 0), kind: kind))"
    }

    @Test func `is one line that says what happened, and what follows`() {
        var error = MQTTError(.refused, "the broker ended the connection", phase: .connected)
        error.reasonString = "maintenance\u{1B}[2J"
        let lost = MQTTDisconnection(
            endpoint: endpoint, error: error, decision: .retry(.standard), retryIn: .seconds(0.4171175949376428))
        #expect(
            text(.disconnected(lost))
                == #"disconnected: the broker ended the connection: "maintenance\u{1B}[2J"; next attempt in 0.417 seconds"#
        )
        let started = MQTTConnectionAttemptStarted(attempt: 2, isInitial: false, endpoint: endpoint)
        #expect(text(.attemptStarted(started)) == "connecting to broker:8883, attempt 2")
        let failed = MQTTConnectionAttemptFailed(
            attempt: 2, endpoint: endpoint, error: MQTTError(.dns, "no such host"), decision: .stop, retryIn: nil)
        #expect(text(.attemptFailed(failed)) == "attempt 2 failed: no such host")
        #expect(text(.resubscribed(filters: ["a/#", "b"])) == #"subscribed again to "a/#", "b""#)
        #expect(text(.credentialsRotated(.init(gap: .microseconds(12_345)))).contains("0.012 seconds"))
        #expect(
            text(.delayEnded(.init(change: .address, retryIn: .milliseconds(350))))
                == "the network has changed (address); next attempt in 0.35 seconds")
        #expect(text(.stopped(nil)) == "stopped")
        #expect(text(.stopped(error)).hasPrefix("stopped: the broker ended"))
        for kind: MQTTConnectionEvent.Kind in [
            .credentialsRefreshed(.init(expiresIn: .seconds(60), source: "file")),
            .credentialsFailed(.init(error: MQTTError(.credentials, "no"), retryIn: .seconds(5))),
            .messagesUnsent(.init(count: 7)),
            .messagesDropped(.init(count: 7)),
            .subscriptionRefused(MQTTSubscriptionRefused(filter: "a/#", error: error)),
        ] {
            #expect(!text(kind).contains("\n"))
            #expect(!text(kind).contains("MQTT"))
        }
    }
}
