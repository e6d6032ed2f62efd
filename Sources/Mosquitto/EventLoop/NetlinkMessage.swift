// SPDX-License-Identifier: Apache-2.0

/// A notification of the kernel about its network (rtnetlink(7)), as far as it says that something has come back.
enum NetlinkMessage: Hashable {
    /// The state of an interface. `isInitial`: the answer to a request, and no change.
    case link(index: Int32, isRunning: Bool, isInitial: Bool)
    case linkRemoved(index: Int32)
    /// An address that others can reach.
    case addressAdded
    /// A route to other machines.
    case routeAdded

    /// linux/netlink.h and linux/rtnetlink.h, whose structures have these sizes and these offsets on all machines.
    private enum Layout {
        static let (header, link, address, route) = (16, 16, 8, 12)
        static let (newLink, deletedLink, newAddress, newRoute): (UInt16, UInt16, UInt16, UInt16) = (16, 17, 20, 24)
        /// `IFF_UP` and `IFF_RUNNING`: switched on, and with a carrier.
        static let running: UInt32 = 0x41
        /// `IFA_F_TENTATIVE` and `IFA_F_DADFAILED`: not usable yet, or not at all (RFC 4862, section 5.4).
        static let unusable: UInt8 = 0x48
        /// `RT_SCOPE_LINK`: from here on, addresses are local to a link or to this machine.
        static let linkScope: UInt8 = 253
        /// `RTN_UNICAST`
        static let unicast: UInt8 = 1
        /// `RT_TABLE_LOCAL`
        static let localTable: UInt8 = 255
        /// `RTM_F_CLONED`: an entry of a cache.
        static let cloned: UInt32 = 0x200
    }

    /// Returns the messages of a datagram that matter, in order. Others are skipped, and so is the rest of a datagram
    /// with a wrong length.
    ///
    /// - Parameter request: the sequence number of the request for the initial state.
    static func messages(in datagram: UnsafeRawBufferPointer, request: UInt32) -> [NetlinkMessage] {
        var messages: [NetlinkMessage] = []
        var start = 0
        while datagram.count - start >= Layout.header {
            let length = Int(datagram.loadUnaligned(fromByteOffset: start, as: UInt32.self))
            guard length >= Layout.header, length <= datagram.count - start else { break }
            let type = datagram.loadUnaligned(fromByteOffset: start + 4, as: UInt16.self)
            let sequence = datagram.loadUnaligned(fromByteOffset: start + 8, as: UInt32.self)
            let body = UnsafeRawBufferPointer(rebasing: datagram[(start + Layout.header)..<(start + length)])
            if let message = NetlinkMessage(type, body, isInitial: sequence == request) { messages.append(message) }
            // Messages begin at multiples of four bytes.
            start += (length + 3) & ~3
        }
        return messages
    }

    private init?(_ type: UInt16, _ body: UnsafeRawBufferPointer, isInitial: Bool) {
        switch type {
        case Layout.newLink where body.count >= Layout.link:
            let flags = body.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
            self = .link(
                index: body.loadUnaligned(fromByteOffset: 4, as: Int32.self),
                isRunning: flags & Layout.running == Layout.running, isInitial: isInitial)
        case Layout.deletedLink where body.count >= Layout.link:
            self = .linkRemoved(index: body.loadUnaligned(fromByteOffset: 4, as: Int32.self))
        case Layout.newAddress where body.count >= Layout.address:
            guard body[2] & Layout.unusable == 0, body[3] < Layout.linkScope else { return nil }
            self = .addressAdded
        case Layout.newRoute where body.count >= Layout.route:
            let flags = body.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
            guard body[7] == Layout.unicast, body[4] != Layout.localTable, flags & Layout.cloned == 0 else {
                return nil
            }
            self = .routeAdded
        default: return nil
        }
    }
}
