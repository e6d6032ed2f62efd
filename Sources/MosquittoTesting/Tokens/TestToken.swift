// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// The claims of a valid token of a ``TestTokenIssuer``.
public struct TestToken: Sendable, Equatable {
    /// The `sub` claim.
    public let subject: String

    /// The `exp` claim: the token is valid before this date.
    public let expiresAt: Date

    /// The `jti` claim, different for every token.
    public let id: String

    /// The `aud` claim, if the token has one.
    public let audience: String?
}
