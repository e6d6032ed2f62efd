// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting

#if os(Linux)
import Glibc

/// The resources of this process, as the kernel and the allocator report them.
struct Footprint {
    /// Bytes that were allocated and not freed.
    var heap: Int
    var residentKB: Int
    var descriptors: Int
    var threads: Int
    /// Number of the library's threads, identified by name: the threads of Swift's own pool come and go.
    var libraryThreads: Int

    /// Returns a footprint once two successive ones agree, so that resources just released are gone. The two are
    /// further apart than the system lets timers be late, so that memory which a timer frees is counted as free.
    static func settled() async throws -> Footprint {
        var looks: [Footprint] = []
        _ = try await eventually(timeout: .seconds(10), pollEvery: .milliseconds(500)) {
            looks.append(try now())
            guard let last = looks.last, let earlier = looks.dropLast().last else { return false }
            // The measurement itself takes memory too.
            return (last.descriptors, last.threads) == (earlier.descriptors, earlier.threads)
                && abs(last.heap - earlier.heap) < 4_096
        }
        return try looks.last ?? now()
    }

    private static func now() throws -> Footprint {
        Allocator.trim()
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        func field(_ name: String) -> Int {
            let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") } ?? ""
            return Int(line.filter(\.isNumber)) ?? 0
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").map { thread in
            // A thread that has just ended has no name any more.
            (try? String(contentsOfFile: "/proc/self/task/\(thread)/comm", encoding: .utf8)) ?? ""
        }
        return Footprint(
            heap: try Allocator.bytesInUse(), residentKB: field("VmRSS"),
            descriptors: try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count,
            threads: names.count, libraryThreads: names.count { $0.hasPrefix("mosquitto") })
    }
}

extension Bounds {
    /// Checks that nothing has grown by more than this since the pools were filled.
    mutating func checkGrowth(from first: Footprint, to last: Footprint, heap: Int, residentKB: Int) {
        func check(_ what: String, _ grown: Int, _ most: Int) {
            self.check(grown <= most, "\(what) grew by \(grown); bound \(most)")
        }
        let ofNewThreads = max(0, last.threads - first.threads) * DispatchCaches.bytesPerThread
        check("the heap in bytes, without the caches of new threads,", last.heap - first.heap - ofNewThreads, heap)
        check("resident memory in KB", last.residentKB - first.residentKB, residentKB)
        check("the number of descriptors", last.descriptors - first.descriptors, 0)
        check("the number of the library's threads", last.libraryThreads - first.libraryThreads, 0)
        // Threads of Swift's pool and of Foundation come and go, whatever the clients do.
        check("the number of threads", last.threads - first.threads, 2)
    }
}

/// Functions that `malloc.h` declares and Swift's Glibc module leaves out.
private enum Allocator {
    /// `malloc_trim`: returns free pages to the system, so that resident memory equals memory in use.
    static func trim() {
        guard let symbol = dlsym(nil, "malloc_trim") else { return }
        _ = unsafeBitCast(symbol, to: (@convention(c) (Int) -> Int32).self)(0)
    }

    /// Returns the bytes in use in all arenas, by `malloc_info`: memory obtained from the system, less free memory.
    static func bytesInUse() throws -> Int {
        var text: UnsafeMutablePointer<CChar>?
        var length = 0
        guard let symbol = dlsym(nil, "malloc_info"), let stream = open_memstream(&text, &length) else {
            throw SoakFailure("this C library has no malloc_info")
        }
        typealias Function = @convention(c) (Int32, UnsafeMutablePointer<FILE>) -> Int32
        _ = unsafeBitCast(symbol, to: Function.self)(0, stream)
        fclose(stream)
        defer { free(text) }
        // The sums follow the arenas.
        let sums = text.map { String(cString: $0) }?.components(separatedBy: "</heap>").last ?? ""
        func size(_ tag: String) -> Int {
            let rest = sums.components(separatedBy: "<\(tag)").dropFirst().first ?? ""
            let value = rest.components(separatedBy: "size=\"").dropFirst().first ?? ""
            return Int(value.prefix { $0.isNumber }) ?? 0
        }
        return size("system type=\"current\"") - size("total type=\"fast\"") - size("total type=\"rest\"")
            + size("total type=\"mmap\"")
    }
}
#endif
