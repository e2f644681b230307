/** Boxes that open beside what they belong to. */

const ROOM_PX = 8;

export interface Place {
  left: number;
  top: number;
  bottom: number;
}

/** Open a popover below a place of the window, or above it where there is no room. */
export function showAt(popover: HTMLElement, { left, top, bottom }: Place): void {
  popover.showPopover();
  const { offsetWidth: width, offsetHeight: height } = popover;
  const isBelow = bottom + height + ROOM_PX < innerHeight || top < height;
  popover.style.left = `${Math.max(ROOM_PX, Math.min(left, innerWidth - width - ROOM_PX))}px`;
  popover.style.top = `${Math.max(ROOM_PX, isBelow ? bottom : top - height)}px`;
}
