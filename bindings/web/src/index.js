export { DetectionPanel, detectionRows } from './detection-panel.js';
