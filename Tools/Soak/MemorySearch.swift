// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import Foundation
import Glibc
import MosquittoTesting

/// Searches the memory of this process for secrets, as `strings` searches a core dump.
///
/// The secrets are read from files into a mapping of its own, and so is the memory that is looked at: that mapping is left
/// out of the search, and nothing else has a copy because of it.
final class MemorySearch {
    struct Found: CustomStringConvertible {
        var needle: String
        var address: UInt
        /// The mapping, such as "[heap]".
        var mapping: String

        var description: String { "\(needle) at 0x\(String(address, radix: 16)) of \(mapping)" }
    }

    private static let chunk = 1 << 20
    private static let overlap = 256
    /// The needles first, a chunk of memory after them.
    private static let needleSpace = 64 << 10
    private static let size = needleSpace + chunk + overlap
    private let base: UnsafeMutableRawPointer
    private var needles: [(name: String, offset: Int, count: Int)] = []
    private var used = 0

    init() throws {
        let size = Self.size
        let mapping = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let mapping, mapping != MAP_FAILED else { throw SoakFailure("mmap: errno \(errno)") }
        base = mapping
    }

    deinit { munmap(base, Self.size) }

    /// Takes `count` bytes of a file as a needle, and, if asked for, also the same bytes in reverse: OpenSSL keeps numbers
    /// in the order of the processor.
    func add(_ name: String, file: String, from start: Int, count: Int, reversed: Bool = false) throws {
        guard used + 2 * count <= Self.needleSpace else { throw SoakFailure("the needles are too long") }
        let descriptor = open(file, O_RDONLY)
        defer { close(descriptor) }
        guard pread(descriptor, base + used, count, off_t(start)) == count else {
            throw SoakFailure("\(file) has no \(count) bytes at \(start)")
        }
        needles.append((name, used, count))
        used += count
        guard reversed else { return }
        for index in 0..<count {
            let byte = (base + used - 1 - index).load(as: UInt8.self)
            (base + used + index).storeBytes(of: byte, as: UInt8.self)
        }
        needles.append((name + ", reversed", used, count))
        used += count
    }

    /// Returns the places of all needles.
    func find() throws -> [Found] {
        let memory = open("/proc/self/mem", O_RDONLY)
        guard memory >= 0 else { throw SoakFailure("/proc/self/mem: errno \(errno)") }
        defer { close(memory) }
        let buffer = base + Self.needleSpace
        let own = UInt(bitPattern: base)..<UInt(bitPattern: base) + UInt(Self.size)
        var found: [Found] = []
        // The kernel shows neighbouring mappings as one.
        let parts = try Self.mappings().flatMap { range, name in
            [
                (range.clamped(to: 0..<own.lowerBound), name),
                (range.clamped(to: own.upperBound..<UInt.max), name),
            ].filter { !$0.0.isEmpty }
        }
        for (range, name) in parts {
            var start = range.lowerBound
            while start < range.upperBound {
                let length = Int(min(UInt(Self.chunk + Self.overlap), range.upperBound - start))
                let count = pread(memory, buffer, length, off_t(start))
                if count <= 0 { break }
                for needle in needles {
                    let wanted = base + needle.offset
                    var rest = 0
                    // glibc's memmem is an extension, which Swift does not see.
                    while rest + needle.count <= count,
                        let place = memchr(
                            buffer + rest, Int32(wanted.load(as: UInt8.self)), count - needle.count - rest + 1)
                    {
                        let offset = place - buffer
                        rest = offset + 1
                        guard offset < Self.chunk, memcmp(place, wanted, needle.count) == 0 else { continue }
                        found.append(Found(needle: needle.name, address: start + UInt(offset), mapping: name))
                    }
                }
                start += UInt(Self.chunk)
            }
        }
        return found
    }

    private static func mappings() throws -> [(Range<UInt>, String)] {
        let text = try String(contentsOfFile: "/proc/self/maps", encoding: .utf8)
        return text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ", maxSplits: 5)
            let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard ends.count == 2, ends[0] < ends[1], fields[1].hasPrefix("rw") else { return nil }
            let name = fields.count > 5 ? fields[5].trimmingCharacters(in: .whitespaces) : "anonymous"
            return (ends[0]..<ends[1], name)
        }
    }
}
#endif
