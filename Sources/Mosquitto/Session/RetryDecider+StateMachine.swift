// SPDX-License-Identifier: Apache-2.0

extension RetryDecider {
    init(_ configuration: SessionStateMachine.Configuration) {
        self.init(
            Configuration(
                policy: configuration.retry, failsFast: configuration.firstConnection == .failFast,
                hasProvider: configuration.hasProvider, hasPreparation: configuration.hasPreparation,
                hasClientCertificate: configuration.hasClientCertificate,
                hasProxyAuthorization: configuration.hasProxyAuthorization,
                endpoints: configuration.endpoints, endpointOrder: configuration.endpointOrder,
                redirects: configuration.redirects))
    }
}
