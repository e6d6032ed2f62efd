// SPDX-License-Identifier: Apache-2.0

import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A connection event as one line of JSON: an interface for programs, whose names and fields do not change.
struct EventLine {
    let json: String

    init(_ event: MQTTConnectionEvent) {
        var object = JSONObject()
        object.set("event", event.kind.name)
        object.set("time", event.time.formatted(Self.rfc3339))
        Self.fill(&object, event.kind)
        json = object.text
    }

    private static let rfc3339 = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

    private static func fill(_ object: inout JSONObject, _ kind: MQTTConnectionEvent.Kind) {
        switch kind {
        case .attemptStarted(let started):
            object.set("attempt", started.attempt)
            object.set("initial", started.isInitial)
            object.set("endpoint", started.endpoint.description)
        case .attemptFailed(let failed):
            object.set("attempt", failed.attempt)
            object.set("endpoint", failed.endpoint.description)
            fill(&object, failed.error)
            object.set("decision", decision(failed.decision))
            object.set("retryIn", failed.retryIn)
            object.set("redirectedTo", failed.redirectedTo?.description)
        case .connected(let info):
            object.set("attempt", info.attempt)
            object.set("endpoint", info.endpoint.description)
            object.set("sessionPresent", info.sessionPresent)
            object.set("tls", info.tls.map(tls))
            object.set("clientID", info.clientID)
        case .disconnected(let lost):
            object.set("endpoint", lost.endpoint.description)
            fill(&object, lost.error)
            object.set("decision", decision(lost.decision))
            object.set("retryIn", lost.retryIn)
            object.set("redirectedTo", lost.redirectedTo?.description)
        case .credentialsRefreshed(let refreshed):
            object.set("expiresIn", refreshed.expiresIn)
            object.set("source", refreshed.source)
        case .credentialsFailed(let failed):
            fill(&object, failed.error)
            object.set("retryIn", failed.retryIn)
        case .credentialsRotated(let rotated):
            object.set("gap", rotated.gap)
        case .resubscribed(let filters):
            object.set("filters", filters)
        case .messagesUnsent(let unsent):
            object.set("count", unsent.count)
        case .messagesDropped(let dropped):
            object.set("count", dropped.count)
        case .subscriptionRefused(let refused):
            object.set("filter", refused.filter.filter)
            var error = refused.error
            error.rawReasonCode = refused.reasonCode.rawValue
            fill(&object, error)
        case .delayEnded(let ended):
            object.set("change", ended.change.rawValue)
            object.set("retryIn", ended.retryIn)
        case .stopped(let error):
            guard let error else { return }
            object.set("endpoint", error.endpoint)
            fill(&object, error)
        }
    }

    /// Adds all that an error has for programs, except for the endpoint, which an event may know better.
    private static func fill(_ object: inout JSONObject, _ error: MQTTError) {
        object.set("phase", error.phase?.rawValue)
        object.set("code", error.code.name)
        object.set("reasonCode", error.rawReasonCode.map(Int.init))
        object.set("reasonString", error.reasonString)
        object.set("serverReference", error.serverReference)
        object.set("httpStatus", error.httpStatus)
        object.set("tls", error.tls.flatMap(tls))
        object.set("message", error.message)
    }

    private static func decision(_ decision: MQTTRetryPolicy.Decision) -> String {
        switch decision {
        case .retry: "retry"
        case .retryWithFreshCredentials: "retryWithFreshCredentials"
        case .redirect: "redirect"
        case .stop: "stop"
        }
    }

    private static func tls(_ failure: MQTTTLSFailure) -> JSONObject? {
        if failure.verification == nil, failure.alert == nil { return nil }
        var object = JSONObject()
        object.set("verifyError", failure.verification.map { Int($0.code) })
        object.set("verifyErrorText", failure.verification?.text)
        object.set("alert", failure.alert?.name)
        return object
    }

    private static func tls(_ info: MQTTConnectionInfo.TLS) -> JSONObject {
        var object = JSONObject()
        object.set("version", info.version)
        object.set("cipher", info.cipher)
        object.set("group", info.group)
        object.set("resumed", info.resumed)
        return object
    }
}
