// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import Turns

@testable import Mosquitto
@testable import mosq

@Suite("Event lines", .turn(.command))
struct EventLineTests {
    private let endpoint = MQTTEndpoint(host: "::1", port: 8_883)

    /// An event's line, without the time, which is checked.
    private func line(_ kind: MQTTConnectionEvent.Kind) throws -> JSON {
        let line = EventLine(MQTTConnectionEvent(time: Date(timeIntervalSince1970: 1_700_000_000.25), kind: kind)).json
        #expect(!line.contains("\n"))
        guard case .object(var members) = try #require(JSON(line)) else { return [:] }
        #expect(members.removeValue(forKey: "time") == "2023-11-14T22:13:20.250Z")
        return .object(members)
    }

    @Test func `attemptStarted`() throws {
        let started = MQTTConnectionAttemptStarted(attempt: 1, isInitial: true, endpoint: endpoint)
        #expect(
            try line(.attemptStarted(started)) == [
                "event": "attemptStarted", "attempt": 1, "initial": true, "endpoint": "[::1]:8883",
            ])
    }

    @Test func `attemptFailed by a certificate`() throws {
        var error = MQTTError(.tlsVerification, "it failed", phase: .tlsHandshake)
        error.tls = MQTTTLSFailure(
            .verification, verification: .init(code: 20, text: "unable to get local issuer certificate", depth: 0),
            alert: .init(received: false, code: 48, name: "unknown_ca"))
        let failed = MQTTConnectionAttemptFailed(
            attempt: 2, endpoint: endpoint, error: error, decision: .retry(.slow), retryIn: .milliseconds(1_500))
        #expect(
            try line(.attemptFailed(failed)) == [
                "event": "attemptFailed", "attempt": 2, "endpoint": "[::1]:8883", "phase": "tlsHandshake",
                "code": "tlsVerification",
                "tls": [
                    "verifyError": 20, "verifyErrorText": "unable to get local issuer certificate",
                    "alert": "unknown_ca",
                ],
                "decision": "retry", "retryIn": 1.5, "message": "it failed",
            ])
    }

    @Test func `attemptFailed by an alert`() throws {
        var error = MQTTError(.tlsAlert, "it failed", phase: .tlsHandshake)
        error.tls = MQTTTLSFailure(
            .clientCertificate, alert: .init(received: true, code: 116, name: "certificate_required"))
        let failed = MQTTConnectionAttemptFailed(
            attempt: 1, endpoint: endpoint, error: error, decision: .stop, retryIn: nil)
        #expect(try line(.attemptFailed(failed))["tls"] == ["alert": "certificate_required"])
    }

    @Test func `attemptFailed by a refusal`() throws {
        var error = MQTTError(.notAuthorized, "it \"failed\"\n", phase: .connack)
        error.reasonCode = .notAuthorized
        error.rawReasonCode = 5
        error.reasonString = "go away\u{1}"
        error.tls = MQTTTLSFailure(.protocolError, reason: "nothing to tell")
        let failed = MQTTConnectionAttemptFailed(
            attempt: 1, endpoint: endpoint, error: error, decision: .retryWithFreshCredentials, retryIn: nil)
        #expect(
            try line(.attemptFailed(failed)) == [
                "event": "attemptFailed", "attempt": 1, "endpoint": "[::1]:8883", "phase": "connack",
                "code": "notAuthorized", "reasonCode": 5, "reasonString": "go away\u{1}",
                "decision": "retryWithFreshCredentials", "message": #"it "failed"\n"#,
            ])
    }

    @Test func `connected`() throws {
        let info = MQTTConnectionInfo(
            attempt: 3, endpoint: endpoint, address: "::1", sessionPresent: true,
            tls: .init(version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", group: "X25519MLKEM768", resumed: false),
            clientID: "c",
            properties: .init())
        #expect(
            try line(.connected(info)) == [
                "event": "connected", "attempt": 3, "endpoint": "[::1]:8883", "sessionPresent": true,
                "tls": [
                    "version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "group": "X25519MLKEM768",
                    "resumed": false,
                ], "clientID": "c",
            ])
    }

    @Test func `disconnected, with all that the broker says (item 3)`() throws {
        var error = MQTTError(.refused, "the end", phase: .connected)
        error.rawReasonCode = 0x8B
        error.reasonString = "maintenance"
        error.serverReference = "other:1883"
        let lost = MQTTDisconnection(
            endpoint: MQTTEndpoint(host: "broker", port: 1883), error: error, decision: .retry(.standard),
            retryIn: .seconds(2))
        #expect(
            try line(.disconnected(lost)) == [
                "event": "disconnected", "endpoint": "broker:1883", "phase": "connected", "code": "refused",
                "reasonCode": 139, "reasonString": "maintenance", "serverReference": "other:1883",
                "message": "the end", "decision": "retry", "retryIn": 2,
            ])
    }

    private static let overdue = MQTTError(.credentials, "no", phase: .credentials)

    @Test func `what happens to credentials`() throws {
        #expect(
            try line(.credentialsRefreshed(.init(expiresIn: .seconds(60), source: "file"))) == [
                "event": "credentialsRefreshed", "expiresIn": 60, "source": "file",
            ])
        #expect(
            try line(.credentialsRefreshed(.init(expiresIn: nil, source: "file"))) == [
                "event": "credentialsRefreshed", "source": "file",
            ])
        #expect(
            try line(.credentialsFailed(.init(error: Self.overdue, retryIn: .seconds(5)))) == [
                "event": "credentialsFailed", "phase": "credentials", "code": "credentials", "message": "no",
                "retryIn": 5,
            ])
        #expect(
            try line(.credentialsRotated(.init(gap: .milliseconds(12)))) == [
                "event": "credentialsRotated", "gap": 0.012,
            ])
    }

    @Test func `messagesDropped (newcomer D5)`() throws {
        #expect(try line(.messagesDropped(.init(count: 7))) == ["event": "messagesDropped", "count": 7])
    }

    @Test func `delayEnded`() throws {
        #expect(
            try line(.delayEnded(.init(change: .route, retryIn: .milliseconds(350)))) == [
                "event": "delayEnded", "change": "route", "retryIn": 0.35,
            ])
    }

    @Test func `messagesUnsent (core 10)`() throws {
        #expect(try line(.messagesUnsent(.init(count: 7))) == ["event": "messagesUnsent", "count": 7])
    }

    @Test func `a filter that is refused (core 28)`() throws {
        let error = MQTTError.operationRefused(.notAuthorized, "no \"a/#\"")
        #expect(
            try line(.subscriptionRefused(MQTTSubscriptionRefused(filter: "a/#", error: error))) == [
                "event": "subscriptionRefused", "filter": "a/#", "phase": "connected", "code": "operationRefused",
                "reasonCode": 135, "message": "no \"a/#\"",
            ])
    }

    @Test func `resubscribed and stopped`() throws {
        #expect(
            try line(.resubscribed(filters: ["a/#", "\"b\""])) == [
                "event": "resubscribed", "filters": ["a/#", "\"b\""],
            ])
        #expect(try line(.stopped(nil)) == ["event": "stopped"])
        var error = MQTTError(.dns, "no such host", phase: .resolve)
        error.endpoint = "broker:1883"
        #expect(
            try line(.stopped(error)) == [
                "event": "stopped", "endpoint": "broker:1883", "phase": "resolve", "code": "dns",
                "message": "no such host",
            ])
    }
}
