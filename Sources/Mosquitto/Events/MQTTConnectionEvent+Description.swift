// SPDX-License-Identifier: Apache-2.0

/// One line for each event, for people; programs read the fields.
extension MQTTConnectionEvent: CustomStringConvertible {
    public var description: String { kind.description }
}

extension MQTTConnectionEvent.Kind: CustomStringConvertible {
    public var description: String {
        switch self {
        case .attemptStarted(let started): "connecting to \(started.endpoint), attempt \(started.attempt)"
        case .attemptFailed(let failed):
            "attempt \(failed.attempt) failed: \(failed.error)" + Self.next(failed.retryIn, failed.redirectedTo)
        case .connected(let info): "connected to \(info.endpoint)" + (info.sessionPresent ? ", session resumed" : "")
        case .disconnected(let lost): "disconnected: \(lost.error)" + Self.next(lost.retryIn, lost.redirectedTo)
        case .credentialsRefreshed(let refreshed):
            "credentials from the source \"\(refreshed.source)\""
                + (refreshed.expiresIn.map { ", valid for \($0.inMilliseconds)" } ?? "")
        case .credentialsFailed(let failed): "no credentials: \(failed.message)" + Self.next(failed.retryIn, nil)
        case .credentialsRotated(let rotated): "credentials rotated, \(rotated.gap.inMilliseconds) without a connection"
        case .resubscribed(let filters): "subscribed again to \(filters.map(quoted).joined(separator: ", "))"
        case .messagesUnsent(let unsent): "\(unsent.count) messages unsent or unacknowledged"
        case .messagesDropped(let dropped): "\(dropped.count) messages of QoS 0 dropped from the full queue"
        case .subscriptionRefused(let refused): "filter \(quoted(refused.filter.filter)) refused: \(refused.error)"
        case .delayEnded(let ended):
            "the network has changed (\(ended.change.rawValue)); next attempt in \(ended.retryIn.inMilliseconds)"
        case .stopped(nil): "stopped"
        case .stopped(let error?): "stopped: \(error)"
        }
    }

    private static func next(_ delay: Duration?, _ endpoint: MQTTEndpoint?) -> String {
        let target = endpoint.map { ", redirected to \($0)" } ?? ""
        return target + (delay.map { "; next attempt in \($0.inMilliseconds)" } ?? "")
    }
}
