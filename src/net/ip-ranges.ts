/**
 * Which IP addresses are public: the IANA special-purpose registries (RFC 6890 and its updates)
 * turned round. IPv4 is public unless listed; IPv6 is public only inside 2000::/3, the one block
 * of global unicast addresses, and there unless listed. So mapped (::ffff:0:0/96), translated
 * (64:ff9b::/96), unique local, link-local and multicast addresses need no entry.
 */

/** Network and prefix length. */
const SPECIAL_IPV4: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8], // this network
  ["10.0.0.0", 8], // private
  ["100.64.0.0", 10], // carrier-grade NAT
  ["127.0.0.0", 8], // loopback
  ["169.254.0.0", 16], // link-local, and the metadata services of clouds
  ["172.16.0.0", 12], // private
  ["192.0.0.0", 24], // protocol assignments
  ["192.0.2.0", 24], // documentation
  ["192.88.99.0", 24], // 6to4 relays
  ["192.168.0.0", 16], // private
  ["198.18.0.0", 15], // benchmarks
  ["198.51.100.0", 24], // documentation
  ["203.0.113.0", 24], // documentation
  ["224.0.0.0", 4], // multicast
  ["240.0.0.0", 4], // reserved, and broadcast
];

const GLOBAL_UNICAST: readonly [string, number] = ["2000::", 3];

const SPECIAL_IPV6: readonly (readonly [string, number])[] = [
  ["2001::", 23], // protocol assignments: Teredo, ORCHID and others
  ["2001:db8::", 32], // documentation
  ["2002::", 16], // 6to4, which carries an IPv4 address
  ["3fff::", 20], // documentation
];

/** Whether a dotted IPv4 address, as `URL` spells it, is public. */
export function isPublicIPv4(address: string): boolean {
  const groups = address.split(".").map(Number);
  if (groups.length !== 4 || !groups.every((n) => n <= 255)) return false;
  const special = SPECIAL_IPV4.some(([network, length]) =>
    samePrefix(groups, network.split(".").map(Number), length, 8),
  );
  return !special;
}

/** Whether an IPv6 address, as `URL` spells it but without brackets, is public. */
export function isPublicIPv6(address: string): boolean {
  const groups = groupsOfIPv6(address);
  const inside = ([network, length]: readonly [string, number]): boolean =>
    samePrefix(groups, groupsOfIPv6(network), length, 16);
  return inside(GLOBAL_UNICAST) && !SPECIAL_IPV6.some(inside);
}

function groupsOfIPv6(address: string): number[] {
  const [head = "", tail] = address.split("::");
  const groups = (text: string): number[] =>
    text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
  const first = groups(head);
  const last = groups(tail ?? "");
  return [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last];
}

/** Whether two addresses, in groups of `bits` bits, agree in their first `length` bits. */
function samePrefix(
  address: readonly number[],
  network: readonly number[],
  length: number,
  bits: number,
): boolean {
  return network.every((group, i) => {
    const rest = Math.min(Math.max(bits * (i + 1) - length, 0), bits);
    return (address[i] ?? 0) >> rest === group >> rest;
  });
}
