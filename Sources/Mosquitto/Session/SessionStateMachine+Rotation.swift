// SPDX-License-Identifier: Apache-2.0

/// Rotation: requests new credentials for an established connection, and replaces the current ones.
extension SessionStateMachine {
    /// Requests the credentials that will replace the current ones. Does nothing if a request is in progress, or
    /// without a connection.
    mutating func refresh(_ rotation: MQTTRotation) -> [Action] {
        guard case .connected(nil) = state, configuration.hasProvider else { return [] }
        state = .connected(.asking(rotation))
        isRefreshDelayed = false
        return [.cancelTimer(.refresh), .fetchCredentials(context(.rotation))]
    }

    /// Handles the refusal of an operation after the token has expired. If the provider has just failed, it is not
    /// asked again, since every further message is refused too.
    mutating func expiredTokenRefused() -> [Action] {
        isRefreshDelayed ? [] : refresh(configuration.rotation)
    }

    /// True if the result of the provider is awaited for a rotation.
    var isAwaitingRotation: Bool { if case .connected(.asking) = state { true } else { false } }

    /// True while the broker has yet to answer AUTH.
    var isReauthenticating: Bool { if case .connected(.reauthenticating) = state { true } else { false } }

    /// Handles the arrival of credentials. `unchanged`: they are those in use; `isEarly`: which is not a failure yet.
    /// `usableIn`: the time until they become valid.
    mutating func rotationCredentialsArrived(
        unchanged: Bool, isEarly: Bool = false, usableIn: Duration = .zero
    ) -> [Action] {
        guard isAwaitingRotation else { return [] }
        if unchanged, isEarly {
            state = .connected(nil)
            return [.setTimer(.refresh, refreshBackoff.next(.standard, using: &jitter))]
        }
        if unchanged {
            return rotationFailed(
                MQTTError(.credentials, "the credential provider has nothing new yet", phase: .credentials))
        }
        return usableIn > .zero ? [.setTimer(.validity, usableIn)] : rotate()
    }

    mutating func rotate() -> [Action] {
        guard case .connected(.asking(let rotation)) = state else { return [] }
        state = .connected(nil)
        switch rotation {
        case .onNextConnect:
            return [.finishRotation]
        case .reauthenticate where reauthenticationRefusals < 2 && reauthenticationPause == 0:
            state = .connected(.reauthenticating)
            return [.setTimer(.reauthentication, configuration.timeouts.connack), .reauthenticate]
        case .reauthenticate, .reconnectNow:
            reauthenticationPause = max(0, reauthenticationPause - 1)
            return beginDraining(for: .credentials)
        }
    }

    private mutating func beginDraining(for purpose: RotationPurpose) -> [Action] {
        state = .draining(.rotation(purpose))
        return [.setTimer(.drain, configuration.timeouts.drain), .drain]
    }

    /// Changes the client certificate, which requires a new connection.
    mutating func rotateIdentity() -> [Action] { reconnect(for: .identity) }

    /// Reconnects only for the sake of a new connection. Does nothing while credentials are being rotated, or without a
    /// connection.
    mutating func reconnectGracefully() -> [Action] {
        guard case .connected(nil) = state else { return [] }
        return reconnect(for: .redelivery)
    }

    private mutating func reconnect(for purpose: RotationPurpose) -> [Action] {
        guard case .connected = state else { return [] }
        let timers: [Timer] = [.validity, .refresh, .reauthentication]
        return timers.map { .cancelTimer($0) } + beginDraining(for: purpose)
    }

    /// Handles a failed request for new credentials. `retryAfter`: the delay that the issuer asks for; `isPermanent`:
    /// it must not be asked again.
    mutating func rotationFailed(
        _ error: MQTTError, retryAfter: Duration? = nil, isPermanent: Bool = false
    ) -> [Action] {
        guard isAwaitingRotation else { return [] }
        state = .connected(nil)
        isRefreshDelayed = true
        let delay = isPermanent ? nil : max(refreshBackoff.next(.standard, using: &jitter), retryAfter ?? .zero)
        let failed = MQTTCredentialsFailed(error: error, retryIn: delay)
        let actions: [Action] = [.cancelTimer(.validity), .emit(.credentialsFailed(failed))]
        return delay.map { actions + [.setTimer(.refresh, $0)] } ?? actions
    }

    // MARK: Re-authentication

    /// Handles the broker's acceptance of the AUTH packet.
    mutating func reauthenticated(refreshIn: Duration?) -> [Action] {
        guard isReauthenticating else { return [] }
        state = .connected(nil)
        reauthenticationRefusals = 0
        reauthenticationLosses = 0
        refreshBackoff.reset()
        var actions: [Action] = [
            .cancelTimer(.reauthentication), .emit(.credentialsRotated(MQTTCredentialsRotated(gap: .zero))),
        ]
        if let refreshIn { actions.append(.setTimer(.refresh, refreshIn)) }
        return actions + [.finishRotation]
    }

    /// Handles a failed re-authentication on a connection that is still up: the client reconnects gracefully instead.
    mutating func reauthenticationFailed() -> [Action] {
        guard isReauthenticating else { return [] }
        reauthenticationRefusals += 1
        return [.cancelTimer(.reauthentication)] + beginDraining(for: .credentials)
    }

    /// Handles a connection that the broker closed because of a re-authentication: the new credentials are sent in a
    /// CONNECT, at once.
    mutating func reauthenticationRefused(_ error: MQTTError, now: Instant) -> [Action] {
        if error.code == .closed, error.reasonCode == nil {
            // A broker without support for AUTH closes like this each time, a failing network by coincidence: the
            // client tries again, but less and less often.
            reauthenticationLosses += 1
            reauthenticationPause = reauthenticationLosses < 2 ? 0 : 1 << min(reauthenticationLosses - 2, 6)
        } else {
            // A rejected token does not mean that the method is unsupported.
            reauthenticationRefusals += error.code == .notAuthorized ? 1 : 2
        }
        lastFailure = error
        gap = Gap(since: now, isTold: true)
        decider.rotated(uptime: uptime(now), now: now)
        let lost = MQTTDisconnection(
            endpoint: endpoint, error: error, decision: .retryWithFreshCredentials, retryIn: .zero)
        return [
            .cancelTimer(.reauthentication), .cancelTimer(.refresh), .tearDown, .setOffline(true),
            .emit(.disconnected(lost)),
        ] + beginAttempt(withCredentials: true)
    }
}

extension MQTTError {
    /// True if the broker may have closed the connection because of an AUTH. One without support for AUTH may just
    /// close.
    var mayConcernReauthentication: Bool {
        guard let reasonCode else { return code == .closed || code == .protocolViolation }
        return [
            .unspecifiedError, .malformedPacket, .protocolError, .implementationSpecificError, .badUserNameOrPassword,
            .notAuthorized, .badAuthenticationMethod,
        ].contains(reasonCode)
    }
}
