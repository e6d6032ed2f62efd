/// New credentials for a connection that is up: asked for, and put in the place of the old ones.
extension SessionStateMachine {
    /// Asks for the credentials that will replace the current ones. Nothing if that is going on, or there is no
    /// connection.
    mutating func refresh(_ rotation: MQTTRotation) -> [Action] {
        guard case .connected(nil) = state, configuration.hasProvider else { return [] }
        state = .connected(.asking(rotation))
        isRefreshDelayed = false
        return [.cancelTimer(.refresh), .fetchCredentials(context(.rotation))]
    }

    /// The broker refuses what is done with a token whose life is over. A provider that has just failed is left alone
    /// meanwhile: every further message is refused too.
    mutating func expiredTokenRefused() -> [Action] {
        isRefreshDelayed ? [] : refresh(configuration.rotation)
    }

    /// True if the answer that the provider is about to give is for a rotation.
    var isAwaitingRotation: Bool { if case .connected(.asking) = state { true } else { false } }

    /// True while the broker has yet to answer AUTH.
    var isReauthenticating: Bool { if case .connected(.reauthenticating) = state { true } else { false } }

    /// New credentials are at hand. `unchanged`: they are the ones in use; `isEarly`: which is nothing to worry about
    /// yet. `usableIn`: they are not valid before.
    mutating func rotationCredentialsArrived(
        unchanged: Bool, isEarly: Bool = false, usableIn: Duration = .zero
    ) -> [Action] {
        guard isAwaitingRotation else { return [] }
        if unchanged, isEarly {
            state = .connected(nil)
            return [.setTimer(.refresh, refreshBackoff.next(.standard, using: &jitter))]
        }
        if unchanged { return rotationFailed("the credential provider has nothing new yet") }
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

    /// The client certificate is to be changed, which needs a new connection.
    mutating func rotateIdentity() -> [Action] { reconnect(for: .identity) }

    /// A new connection is needed, for its own sake. Nothing while credentials are being rotated, or without a
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

    /// There are no new credentials. `retryAfter`: the issuer wants to be left alone for so long; `isPermanent`: for
    /// good.
    mutating func rotationFailed(
        _ message: String, retryAfter: Duration? = nil, isPermanent: Bool = false
    ) -> [Action] {
        guard isAwaitingRotation else { return [] }
        state = .connected(nil)
        isRefreshDelayed = true
        let delay = isPermanent ? nil : max(refreshBackoff.next(.standard, using: &jitter), retryAfter ?? .zero)
        let failed = MQTTCredentialsFailed(message: message, retryIn: delay)
        let actions: [Action] = [.cancelTimer(.validity), .emit(.credentialsFailed(failed))]
        return delay.map { actions + [.setTimer(.refresh, $0)] } ?? actions
    }

    // MARK: Re-authentication

    /// The broker has accepted the AUTH packet.
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

    /// It cannot be done on this connection, which is still up: the graceful reconnect takes its place.
    mutating func reauthenticationFailed() -> [Action] {
        guard isReauthenticating else { return [] }
        reauthenticationRefusals += 1
        return [.cancelTimer(.reauthentication)] + beginDraining(for: .credentials)
    }

    /// The broker ended the connection over it: the new credentials have their chance in a CONNECT, at once.
    mutating func reauthenticationRefused(_ error: MQTTError, now: Instant) -> [Action] {
        if error.code == .closed, error.reasonCode == nil {
            // A broker that does not know AUTH closes so each time, and a network that breaks does it by coincidence:
            // the broker is asked again, but less and less often.
            reauthenticationLosses += 1
            reauthenticationPause = reauthenticationLosses < 2 ? 0 : 1 << min(reauthenticationLosses - 2, 6)
        } else {
            // A refusal of the token says nothing of the method.
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
    /// True if a broker that was sent AUTH may have ended the connection over it. One that knows no AUTH may just
    /// close.
    var mayConcernReauthentication: Bool {
        guard let reasonCode else { return code == .closed || code == .protocolViolation }
        return [
            .unspecifiedError, .malformedPacket, .protocolError, .implementationSpecificError, .badUserNameOrPassword,
            .notAuthorized, .badAuthenticationMethod,
        ].contains(reasonCode)
    }
}
